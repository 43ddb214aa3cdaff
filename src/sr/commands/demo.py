"""``sr demo``: a web page that enlarges pictures and shows trained runs."""

import argparse
from pathlib import Path

from sr.commands.arguments import MODEL, add_device, add_trust
from sr.commands.completion import complete, model_names

HELP = "serve a web page to enlarge pictures and look at your runs"
EXAMPLE = "sr demo --runs runs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--runs``, more models, the address and ``--device``."""
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="folder of runs (default: runs)")
    parser.add_argument(
        "--host", default="127.0.0.1", help="127.0.0.1 (default): this machine only; 0.0.0.0: the whole network"
    )
    parser.add_argument("--port", type=int, default=7860, help="default: 7860")
    parser.add_argument("--share", action="store_true", help="get a public address through Gradio's servers")
    models = parser.add_argument(
        "-m", "--model", action="append", default=[], metavar="FILE", help=f"offer more models: {MODEL}, or *.onnx"
    )
    complete(models, model_names)
    add_device(parser)
    add_trust(parser)


def run(options: argparse.Namespace) -> None:
    """Serve the page until interrupted."""
    from sr.demo.app import serve

    serve(options.runs, options.host, options.port, share=options.share, device=options.device, models=options.model)
