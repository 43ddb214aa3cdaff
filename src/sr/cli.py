"""The command ``sr``: each subcommand imports what it needs when it is called."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from sr.errors import UserError

_BAD_INPUT = 2


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a subcommand; ends with exit code 2 and one line for bad input."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["train"]:  # Hydra reads its own arguments
        return _train(words[1:])
    options = _parser().parse_args(words)
    call: Callable[[argparse.Namespace], None] = options.call
    try:
        call(options)
    except UserError as error:
        sys.exit(_fail(error))
    return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sr", description="Compare super-resolution models and use the winner.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("train", help="train one model or many: the same as python -m sr.train", add_help=False)
    status = commands.add_parser("status", help="how the runs of a sweep stand, and the time left")
    status.add_argument("folder", type=Path, metavar="DIR", help="folder of the sweep (hydra.sweep.dir)")
    status.set_defaults(call=_status)
    report = commands.add_parser("report", help="which run is best, by how much, and whether the difference is real")
    report.add_argument("folder", type=Path, metavar="DIR", help="folder of a sweep, of several, or of one run")
    report.add_argument("--figures", type=Path, metavar="FOLDER", help="write the plots there too, as SVG files")
    report.set_defaults(call=_report)
    evaluate = commands.add_parser("evaluate", help="score models, and always bicubic, on folders of images")
    evaluate.add_argument("models", nargs="*", metavar="MODEL", help="checkpoint, run folder, or name of sr models")
    evaluate.add_argument("--data", type=Path, action="append", required=True, metavar="DIR", help="may be repeated")
    evaluate.add_argument("--scale", type=int, required=True, help="factor of the sides")
    evaluate.add_argument("--protocol", default="y", help="y (default): luma, border cut; rgb: all channels, none cut")
    evaluate.add_argument("--baselines", action="store_true", help="nearest and Lanczos beside bicubic; needs no model")
    evaluate.add_argument("--x8", action="store_true", help="average over the eight flips and turns of the input")
    evaluate.add_argument("--csv", type=Path, metavar="FILE", help="write the table, and FILE_images.csv")
    evaluate.add_argument("--json", type=Path, metavar="FILE", help="write the table with the images' scores")
    evaluate.add_argument("--save", type=Path, metavar="DIR", help="write the images as DIR/MODEL/DATA/NAME.png")
    evaluate.set_defaults(call=_evaluate)
    predict = commands.add_parser("predict", help="enlarge pictures: files, folders, or - for the standard streams")
    predict.add_argument("inputs", nargs="+", metavar="INPUT", help="files, folders, patterns, or -")
    predict.add_argument("-m", "--model", required=True, help="checkpoint, run folder, *.onnx, or name of sr models")
    predict.add_argument("-o", "--output", required=True, metavar="OUT", help="a file for one picture, a folder, or -")
    predict.add_argument("--scale", type=int, help="factor of the sides, for a model that has several")
    predict.add_argument("--tile", type=_tile, help="side of what is enlarged at a time: auto (default), N, 0: all")
    predict.add_argument("--x8", action="store_true", help="average over the eight flips and turns: slower, better")
    predict.add_argument("--compare", action="store_true", help="write the bicubic image beside, as NAME_bicubic")
    predict.add_argument("--force", action="store_true", help="write over files that exist")
    predict.add_argument("--max-pixels", type=int, help="refuse larger pictures (default: 200 million pixels)")
    predict.add_argument("--device", help="cpu, cuda, cuda:1 (default: a GPU if there is one)")
    predict.add_argument("--precision", default="auto", help="float32, bfloat16, or auto (default): the faster of them")
    predict.set_defaults(call=_predict)
    demo = commands.add_parser("demo", help="a page in the browser: enlarge pictures, see what was trained")
    demo.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="your runs (default: runs)")
    demo.add_argument("--host", default="127.0.0.1", help="127.0.0.1 (default) or, to be seen from outside, 0.0.0.0")
    demo.add_argument("--port", type=int, default=7860)
    demo.add_argument("--share", action="store_true", help="a public address through Gradio's servers")
    demo.add_argument("--device", help="cpu, cuda, cuda:1 (default: a GPU if there is one)")
    demo.set_defaults(call=_demo)
    export = commands.add_parser("export", help="write a network as ONNX, checked against torch, or as safetensors")
    export.add_argument("model", metavar="MODEL", help="checkpoint, run folder, or name of sr models")
    export.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="*.onnx or *.safetensors")
    export.add_argument("--scale", type=int, help="factor of the sides, for a model that has several")
    export.set_defaults(call=_export)
    models = commands.add_parser("models", help="the trained networks that ship with sr, and their scores")
    models.set_defaults(call=_models)
    selftest = commands.add_parser("selftest", help="compare the bicubic scores of benchmark sets with published ones")
    selftest.add_argument("--data", type=Path, action="append", required=True, metavar="DIR", help="may be repeated")
    selftest.set_defaults(call=_selftest)
    check = commands.add_parser("check-data", help="what is wrong with folders of images, and how to mend it")
    check.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="plain, or with high_res/ and low_res/")
    check.add_argument("--scale", type=int, help="factor of the sides (default: what most pairs of a folder have)")
    check.add_argument("--json", type=Path, metavar="FILE", help="write all findings")
    check.set_defaults(call=_check_data)
    search = commands.add_parser("search", help="what a search found: history, importances, slices, every trial")
    search.add_argument("folder", type=Path, metavar="DIR", help="folder of the search (hydra.sweep.dir)")
    search.set_defaults(call=_search)
    return parser


def _train(words: list[str]) -> None:
    from sr import train

    sys.argv = [train.__file__, *words]  # trainer=ddp starts this file again for its other processes
    train.main()


def _status(options: argparse.Namespace) -> None:
    from sr.sweep import find_cells, render

    sys.stdout.write(render(find_cells(options.folder)))


def _report(options: argparse.Namespace) -> None:
    from sr.report.page import FILES, write_report

    found = write_report(options.folder, options.figures)
    for comparison in found.comparisons:
        count = len(comparison.runs)
        sys.stdout.write(f"{count} run{'s' if count > 1 else ''} on {comparison.title}\n")
    if len(found.comparisons) > 1:
        sys.stdout.write("different images or protocols are never mixed: each has a table of its own\n")
    if found.unfinished:
        sys.stdout.write(f"not done: {len(found.unfinished)}, named in the report; sr status says more\n")
    sys.stdout.write("".join(f"{options.folder / name}\n" for name in FILES))
    for problem in found.problems:
        sys.stderr.write(f"error: {problem}\n")
    if found.problems:
        sys.exit(1)


def _evaluate(options: argparse.Namespace) -> None:
    from sr.evaluate import BASELINE, BASELINES, evaluate, render, write_rows
    from sr.models import find_model

    if not options.models and not options.baselines:
        raise UserError("name a checkpoint or a run folder, or add --baselines")
    models = [find_model(name, options.scale) for name in options.models]
    rows = [
        *evaluate(
            models,
            options.data,
            scale=options.scale,
            protocol=options.protocol,
            ensemble=options.x8,
            save=options.save,
            baselines=BASELINES if options.baselines else (BASELINE,),
        )
    ]
    sys.stdout.write(render(rows))
    for path in write_rows(rows, options.csv, options.json):
        sys.stdout.write(f"{path}\n")


def _tile(text: str) -> int | None:
    return None if text == "auto" else int(text)


def _predict(options: argparse.Namespace) -> None:
    from sr import load
    from sr.files import MAX_PIXELS
    from sr.predict import predict

    enlarger = load(
        options.model,
        options.scale,
        tile=options.tile,
        ensemble=options.x8,
        device=options.device,
        precision=options.precision,
    )
    failed = predict(
        options.inputs,
        options.output,
        enlarger,
        compare=options.compare,
        force=options.force,
        max_pixels=options.max_pixels or MAX_PIXELS,
    )
    if failed:
        sys.exit(1)


def _demo(options: argparse.Namespace) -> None:
    from sr.demo import serve

    serve(options.runs, options.host, options.port, share=options.share, device=options.device)


def _export(options: argparse.Namespace) -> None:
    from sr.export import export
    from sr.models import checkpoints_of

    files = checkpoints_of(options.model)
    if len(files) > 1:
        raise UserError(f"{options.model}: has {len(files)} folds: name the checkpoint of one, such as {files[0]}")
    difference = export(files[0], options.output, options.scale)
    checked = f", at most {difference:.1g} from torch" if options.output.suffix == ".onnx" else ""
    sys.stdout.write(f"{options.output}: written{checked}\n")


def _models(options: argparse.Namespace) -> None:
    from sr.zoo import entries, render

    sys.stdout.write(render(entries()))


def _selftest(options: argparse.Namespace) -> None:
    from sr.selftest import check, render

    checks = [one for folder in options.data for one in check(folder)]
    sys.stdout.write(render(checks))
    if not all(one.agrees for one in checks):
        sys.exit(1)


def _check_data(options: argparse.Namespace) -> None:
    from sr.check import check, render, write_json

    report = check(options.folders, options.scale)
    sys.stdout.write(render(report))
    if options.json:
        write_json(report, options.json)
        sys.stdout.write(f"{options.json}\n")
    if report.exit_code:
        sys.exit(report.exit_code)


def _search(options: argparse.Namespace) -> None:
    from sr.report.search import FILE, write_search

    standing = write_search(options.folder)
    sys.stdout.write(", ".join(f"{count} {state}" for state, count in standing.counts.items()) + "\n")
    for trial in standing.best:
        values = ", ".join(f"{value:.6g}" for value in trial.values)
        chosen = " ".join(f"{name}={value}" for name, value in trial.params.items())
        sys.stdout.write(f"best: trial {trial.number}, {values}, {chosen}\n")
    sys.stdout.write(f"{options.folder / FILE}\n")


def _fail(error: UserError) -> int:
    sys.stderr.write(f"error: {error}\n")
    return _BAD_INPUT
