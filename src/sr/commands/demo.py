"""``sr demo``: a page in the browser that enlarges pictures and shows what was trained."""

import argparse
from pathlib import Path

HELP = "a page in the browser: enlarge pictures, see what was trained"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="your runs (default: runs)")
    parser.add_argument("--host", default="127.0.0.1", help="127.0.0.1 (default) or, to be seen from outside, 0.0.0.0")
    parser.add_argument("--port", type=int, default=7860)
    parser.add_argument("--share", action="store_true", help="a public address through Gradio's servers")
    parser.add_argument("--device", help="cpu, cuda, cuda:1 (default: a GPU if there is one)")


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from sr.demo.app import serve

    serve(options.runs, options.host, options.port, share=options.share, device=options.device)
