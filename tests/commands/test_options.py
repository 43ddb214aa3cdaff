"""Every option of each subcommand, and its default, reaches the called function, which a recorder replaces."""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sr.cli import main, make_parser
from sr.data.folders.named import FolderOptions
from sr.inference.inputs import Naming
from sr.inference.predict import Settings as Batch
from sr.inference.video.encoding import VideoOptions
from sr.report.sections import Settings
from sr.weights.model import Model
from sr.weights.onnx.hints import UNKNOWN, OnnxHints

Record = Callable[..., list[tuple[tuple[Any, ...], dict[str, Any]]]]


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> Record:
    """Replace a function by one that returns a fixed value and records its calls."""

    def replace(name: str, value: Any = None) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
        calls = []

        def recorder(*arguments: Any, **options: Any) -> Any:
            calls.append((arguments, options))
            return value

        monkeypatch.setattr(name, recorder)
        return calls

    return replace


def test_the_demo_listens_on_localhost_by_default(record: Record) -> None:
    calls = record("sr.demo.app.serve")
    main(["demo"])
    main(["demo", "--runs", "r", "--host", "0.0.0.0", "--port", "80", "--share", "--device", "cuda:1", "-m", "a.pth"])
    assert calls == [
        ((Path("runs"), "127.0.0.1", 7860), {"share": False, "device": None, "models": []}),
        ((Path("r"), "0.0.0.0", 80), {"share": True, "device": "cuda:1", "models": ["a.pth"]}),
    ]


def test_predict_passes_every_option_on(record: Record) -> None:
    find_calls = record("sr.weights.find.find_model", "a model")
    load_calls = record("sr.inference.enlarger.Enlarger", "an enlarger")
    predict_calls = record("sr.inference.predict.predict", 0)
    main(["predict", "a", "b", "-m", "m", "-o", "out"])
    settings = ["--scale", "3", "--tile", "48", "--x8", "--wrap", "--device", "cpu", "--precision", "float32"]
    settings += ["--compare", "--force", "--max-pixels", "7", "--resume", "--recursive", "--watch"]
    settings += ["--codec", "h265", "--crf", "20", "--pix-fmt", "yuv444p", "--frames", "all"]
    main(["predict", "-", "-m", "m", "-o", "-", *settings, "--quality", "80", "--format", "JPG", "--suffix", "_x2"])
    main(["predict", "a", "-m", "m", "-o", "out", "--tile", "auto"])
    load_defaults = {"tile": None, "ensemble": False, "wrap": False, "device": None, "precision": "auto"}
    assert find_calls == [(("m", scale, UNKNOWN), {"provider": None}) for scale in (None, 3, None)]
    assert load_calls == [
        (("a model",), load_defaults),
        (("a model",), {"tile": 48, "ensemble": True, "wrap": True, "device": "cpu", "precision": "float32"}),
        (("a model",), load_defaults),
    ]
    video = VideoOptions("h265", 20, "yuv444p")
    many = replace(Batch(), compare=True, force=True, max_pixels=7, resume=True, recursive=True, watch=True, quality=80)
    assert predict_calls == [
        ((["a", "b"], "out", "an enlarger", Batch()), {}),
        ((["-"], "-", "an enlarger", replace(many, naming=Naming("_x2", ".jpg", all_frames=True), video=video)), {}),
        ((["a"], "out", "an enlarger", Batch()), {}),
    ]


def test_what_is_said_of_an_onnx_network_is_passed_on_and_never_ignored(
    record: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    record("sr.benchmark.named_models.find_model", Model("a model", 2))
    calls = record("sr.weights.find.find_model", Model("a model", 2))
    for command in (["predict", "a", "-o", "out", "-m"], ["evaluate", "--data", "d"], ["speed"]):
        with pytest.raises(SystemExit) as exit_info:
            main([*command, "m", "--halo", "8", "--order", "bgr", "--range", "255"])
        assert exit_info.value.code == 2
        message = "error: --halo: is for ONNX networks that sr did not write; no model is one\n"
        assert capsys.readouterr().err == message
    assert calls[0][0] == ("m", None, OnnxHints(halo=8, order="bgr", range=255))


@pytest.mark.parametrize(("failures", "code"), [(0, 0), (2, 1)])
def test_predict_exits_with_1_if_a_picture_failed(record: Record, failures: int, code: int) -> None:
    record("sr.weights.find.find_model")
    record("sr.inference.enlarger.Enlarger")
    record("sr.inference.predict.predict", failures)
    try:
        main(["predict", "a", "-m", "m", "-o", "out"])
        exit_code = 0
    except SystemExit as error:
        exit_code = int(error.code or 0)
    assert exit_code == code


def test_evaluate_passes_every_option_on(record: Record) -> None:
    record("sr.benchmark.tables.render", "")
    find_calls, write_calls = (
        record("sr.benchmark.named_models.find_model", Model("a model", 3)),
        record("sr.benchmark.tables.write_rows", []),
    )
    evaluate_calls = record("sr.benchmark.evaluate.evaluate", [])
    main(["evaluate", "m", "--data", "d", "--scale", "2"])
    settings = ["--data", "d", "--data", "e", "--scale", "3", "--protocol", "rgb", "--baselines", "--x8"]
    settings += ["--tile", "48", "--device", "cpu", "--precision", "auto", "--bits", "16"]
    settings += ["--low-res-name", "{stem}_s", "--recursive"]
    main(["evaluate", "m", "n", *settings, "--csv", "t.csv", "--json", "t.json", "--save", "s"])
    assert [arguments for arguments, _ in find_calls] == [("m", 2, UNKNOWN), ("m", 3, UNKNOWN), ("n", 3, UNKNOWN)]
    (first_call, second_call) = evaluate_calls
    assert first_call[0] == ([Model("a model", 3)], [Path("d")])
    baselines = [options.pop("baselines") for _, options in evaluate_calls]
    assert [len(kernels) for kernels in baselines] == [1, 3]
    folders = [options.pop("options") for _, options in evaluate_calls]
    assert [[*options.pop("metrics")] for _, options in evaluate_calls] == [["psnr", "ssim"]] * 2
    assert folders == [FolderOptions(2), FolderOptions(3, None, "{stem}_s", recursive=True)]
    defaults = {"scale": 2, "protocol": "y", "ensemble": False, "save": None, "bits": 8}
    assert first_call[1] == defaults | {
        "tile": None,
        "device": None,
        "precision": "float32",
        "contenders": [],
        "degradations": None,
    }
    assert second_call[0] == ([Model("m", 3), Model("n", 3)], [Path("d"), Path("e")])  # their labels were the same
    chosen = {"scale": 3, "protocol": "rgb", "ensemble": True, "save": Path("s"), "bits": 16}
    assert second_call[1] == chosen | {
        "tile": 48,
        "device": "cpu",
        "precision": "auto",
        "contenders": [],
        "degradations": None,
    }
    written = [arguments for arguments, _ in write_calls]
    assert written == [([], None, None, None), ([], Path("t.csv"), Path("t.json"), None)]


@pytest.mark.parametrize(
    ("scales", "arguments", "expected"),
    [
        ([3], [], 3),
        ([2, 2], [], 2),
        ([3], ["--scale", "3"], 3),
        ([2, 3], [], "the models enlarge by 2 and 3: evaluate them one at a time"),
        ([], ["--baselines"], "a scale is needed (--scale): no model says it"),
        ([2], ["--scale", "0"], 0),
    ],
)
def test_evaluate_takes_the_scale_of_its_models_unless_one_is_given(
    record: Record,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    scales: list[int],
    arguments: list[str],
    expected: int | str,
) -> None:
    record("sr.benchmark.tables.render", "")
    record("sr.benchmark.tables.write_rows", [])
    models = iter(Model(f"a model for {scale}", scale) for scale in scales)
    monkeypatch.setattr("sr.benchmark.named_models.find_model", lambda name, scale, hints: next(models))
    evaluate_calls = record("sr.benchmark.evaluate.evaluate", [])
    command_line = ["evaluate", *(f"m{number}" for number in range(len(scales))), "--data", "d", *arguments]
    if isinstance(expected, str):
        with pytest.raises(SystemExit):
            main(command_line)
        assert expected in capsys.readouterr().err
    else:
        main(command_line)
        assert evaluate_calls[0][1]["scale"] == expected


def test_check_data_passes_every_option_on_and_exits_with_the_code_of_the_report(record: Record) -> None:
    report = SimpleNamespace(exit_code=0)
    record("sr.data.findings.render", "")
    check_calls, write_calls = record("sr.data.check.check", report), record("sr.data.findings.write_json")
    main(["check-data", "a", "b"])
    main(["check-data", "a", "--scale", "4", "--json", "f.json", "--low-res", "l", "--low-res-name", "{stem}_s"])
    assert [arguments for arguments, _ in check_calls] == [
        ([Path("a"), Path("b")], FolderOptions()),
        ([Path("a")], FolderOptions(4, Path("l"), "{stem}_s")),
    ]
    assert [arguments for arguments, _ in write_calls] == [(report, Path("f.json"))]
    report.exit_code = 3
    with pytest.raises(SystemExit) as exit_info:
        main(["check-data", "a"])
    assert exit_info.value.code == 3


def test_check_data_repairs_instead_and_exits_with_1_if_something_is_left_out(
    record: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = record("sr.data.repair.folder.repair", True)
    main(["check-data", "a", "--repair", "out", "--scale", "2", "--recursive"])
    (folder, out, options, _), _ = calls[0]
    assert (folder, out, options) == (Path("a"), Path("out"), FolderOptions(2, recursive=True))
    record("sr.data.repair.folder.repair", False)
    with pytest.raises(SystemExit) as exit_info:
        main(["check-data", "a", "--repair", "out"])
    assert exit_info.value.code == 1
    for words, reason in ((["b"], "2 are named"), (["--json", "f"], "--json lists findings")):
        with pytest.raises(SystemExit) as exit_info:
            main(["check-data", "a", *words, "--repair", "out"])
        assert exit_info.value.code == 2
        assert reason in capsys.readouterr().err


def test_ctrl_c_ends_a_command_with_one_line_and_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sr.data.repair.folder.repair", interrupt)
    with pytest.raises(SystemExit) as exit_info:
        main(["check-data", "a", "--repair", "out"])
    assert exit_info.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_report_passes_its_folders_on_and_exits_with_1_if_a_run_cannot_be_read(
    record: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    contents = SimpleNamespace(unfinished=[], problems=[], repeats=[])
    report = SimpleNamespace(sections=["a"], benchmarks=[SimpleNamespace(boards=["b", "c"])], contents=contents)
    report.files = [Path("runs/report.html")]
    write_calls = record("sr.report.page.write_report", report)
    record("sr.report.terminal.in_terminal", "a is the best\n")
    main(["report", "runs"])
    files_given = ["-o", "out", "--figures", "plots", "--json", "numbers.json", "--latex", "paper"]
    main(["report", "a", "b", *files_given, "--reference", "bicubic", "--score", "ssim", "--rope", "0.01"])
    default, full = write_calls
    options: dict[str, object] = {"settings": Settings()}
    options |= {"figure_folder": None, "json_file": None, "latex_folder": None}
    assert default == (([Path("runs")], None), options)
    options = {"settings": Settings("ssim", 0.01, "bicubic"), "figure_folder": Path("plots")}
    options |= {"json_file": Path("numbers.json"), "latex_folder": Path("paper")}
    assert full == (([Path("a"), Path("b")], Path("out")), options)
    captured = capsys.readouterr()
    assert captured.out.startswith("a is the best\n\na is the best\n\na is the best\n\nruns/report.html\n")
    report.sections *= 2
    contents.unfinished, contents.problems, contents.repeats = [1, 2, 3], ["a/result.json: is damaged"], ["b: left out"]
    with pytest.raises(SystemExit) as exit_info:
        main(["report", "runs"])
    assert exit_info.value.code == 1
    captured = capsys.readouterr()
    assert captured.err == "b: left out\nerror: a/result.json: is damaged\n"
    assert captured.out.count("a is the best\n") == 4
    assert "Different images" in captured.out
    assert "not done: 3" in captured.out


def test_a_region_of_equivalence_below_zero_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["report", "runs", "--rope", "-1"])
    assert exit_info.value.code == 2
    assert capsys.readouterr().err == "error: --rope must be 0 or more, got -1.0\n"


def test_speed_passes_every_option_on(
    record: Record, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def model(name: str, scale: int | None = None) -> SimpleNamespace:
        return SimpleNamespace(label=name, nets=[None] * (2 if name == "folds" else 1))

    found = []

    def find_models(
        names: list[str], scale: int | None, hints: OnnxHints, *, needed: str | None
    ) -> tuple[list[SimpleNamespace], int]:
        found.append((scale, needed))
        return [model(name) for name in names], 0

    monkeypatch.setattr("sr.benchmark.named_models.find_models", find_models)
    compare_calls, render_calls = (
        record("sr.benchmark.speed.compare_speed", "rows"),
        record("sr.benchmark.speed.render", ""),
    )
    write_calls, record_calls = (
        record("sr.benchmark.speed.write_json"),
        record("sr.benchmark.speed.record_speeds", ["r"]),
    )
    main(["speed", "a", "folds"])
    captured = capsys.readouterr()
    assert captured.err == "folds: holds 2 networks, the first is measured\nmeasuring a, folds\n"
    assert captured.out == "r\n"
    main(["speed", "a", "b", "--baseline", "b", "--scale", "2", "--device", "cuda", "--precision", "float32"])
    main(["speed", "a", "--baseline", "c", "--json", "t.json", "--no-record"])
    calls = [([model.label for model in models], options) for (models,), options in compare_calls]
    assert calls == [
        (["a", "folds"], {"device": None, "precision": "auto"}),
        (["a", "b"], {"device": "cuda", "precision": "float32"}),
        (["a"], {"device": None, "precision": "auto"}),
    ]
    assert [arguments for arguments, _ in render_calls] == [("rows",)] * 3
    assert [arguments for arguments, _ in write_calls] == [(Path("t.json"), "rows")]
    assert len(record_calls) == 2
    assert found == [(None, None), (2, "b"), (None, "c")]


@pytest.mark.parametrize(("agree", "code"), [((True, True), 0), ((True, False), 1)])
def test_selftest_exits_with_1_if_a_row_disagrees(record: Record, agree: tuple[bool, bool], code: int) -> None:
    record("sr.benchmark.selftest.render", "")
    check_calls = record("sr.benchmark.selftest.check", [SimpleNamespace(agrees=agrees) for agrees in agree])
    exit_code = 0
    try:
        main(["selftest", "--data", "a", "--data", "b"])
    except SystemExit as error:
        exit_code = int(error.code or 0)
    assert exit_code == code
    assert [arguments for arguments, _ in check_calls] == [(Path("a"),), (Path("b"),)]


def test_search_prints_the_best_trials(record: Record, capsys: pytest.CaptureFixture[str]) -> None:
    best = SimpleNamespace(number=4, values=[31.25, 2], params={"optimizer.lr": 0.01, "model": "espcn"})
    write_calls = record(
        "sr.report.search.write_search", SimpleNamespace(counts={"complete": 5, "pruned": 2}, best=[best])
    )
    main(["search", "s"])
    assert [arguments for arguments, _ in write_calls] == [(Path("s"),)]
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["5 complete, 2 pruned", "best: trial 4, 31.25, 2, optimizer.lr=0.01 model=espcn"]
    assert Path(lines[2]).parent == Path("s")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["predict", "a", "-m", "m", "-o", "o", "--tile", "big"],
            "--tile: must be auto or an integer of 0 or more",
        ),
        (
            ["predict", "a", "-m", "m", "-o", "o", "--tile", "-1"],
            "--tile: must be auto or an integer of 0 or more",
        ),
        (["predict", "a", "-m", "m", "-o", "o", "--max-pixels", "0"], "--max-pixels must be an integer of 1 or more"),
        (["predict", "a", "-o", "o"], "the following arguments are required: -m/--model"),
        (["evaluate", "m", "--scale", "2"], "the following arguments are required: --data"),
        (["evaluate", "--data", "d", "--scale", "two"], "--scale: invalid int value: 'two'"),
        (["evaluate", "--data", "d", "--scale", "2"], "name a checkpoint or a run folder, or add --baselines"),
        (["status", "a", "--verbose"], "--verbose: no such option"),
    ],
)
def test_a_wrong_option_is_refused_in_one_line_with_code_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(arguments)
    assert exit_info.value.code == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1


def _subcommands() -> dict[str, argparse.ArgumentParser]:
    actions = make_parser()._subparsers._group_actions  # type: ignore[union-attr] # argparse lists them nowhere else
    return {name: parser for name, parser in dict(actions[0].choices).items() if name != "train"}  # type: ignore[arg-type]


def test_there_are_fifteen_subcommands_besides_train() -> None:
    assert len(_subcommands()) == 15


@pytest.mark.parametrize("name", _subcommands())
def test_help_describes_the_command_and_all_its_arguments_and_its_example_parses(name: str) -> None:
    parser = _subcommands()[name]
    assert parser.description
    assert parser.description.endswith(".")
    assert all(action.help for action in parser._actions)
    example = (parser.epilog or "").removeprefix("Example: sr ").split()
    assert example[0] == name
    assert callable(make_parser().parse_args(example).run)
