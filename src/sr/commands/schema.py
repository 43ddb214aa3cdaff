"""``sr schema``: print the JSON schema of configs."""

import argparse
import json
import sys
from pathlib import Path

from sr.errors import UserError

HELP = "print the JSON schema of configs, with which editors complete and check them"
EXAMPLE = "sr schema -o sr.schema.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the output file and folders of configs."""
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write it there instead")
    parser.add_argument(
        "--config-dir",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="folder of your own configs, as for sr train; repeat it for several",
    )


def run(options: argparse.Namespace) -> None:
    """Print or write the schema; say which parts of it are unknown."""
    from sr.io.atomic import reporting_unwritable, write_text
    from sr.options.groups import find_groups
    from sr.options.schema import config_schema
    from sr.train import config_dir

    for folder in options.config_dir:
        if not folder.is_dir():
            raise UserError(f"--config-dir {folder}: no such folder")
    schema, problems = config_schema(find_groups(config_dir(), options.config_dir))
    for target, reason in sorted(problems.items()):
        sys.stderr.write(f"{target}: cannot be imported, its options are not checked: {reason}\n")
    text = json.dumps(schema, indent=1) + "\n"
    if options.output is None:
        sys.stdout.write(text)
        return
    with reporting_unwritable(options.output):
        write_text(options.output, text)
    sys.stdout.write(f"{options.output}: written\n")
