"""``sr decide``: train next what settles most, until the best configuration is known or the budget is spent."""

import argparse
import sys
from pathlib import Path

HELP = "train more seeds where a verdict is undecided, until all is decided or the budget is spent"
EXAMPLE = "sr decide runs/grid --budget 2h --hydra hydra/launcher=joblib"
_UNDECIDED, _CTRL_C = 1, 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folder, the budget, and options for Hydra."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of a sweep (hydra.sweep.dir), or of several")
    parser.add_argument(
        "--budget",
        metavar="B",
        help="over all starts: training time, added up (2h, 30min), trainings (12), or multiply-adds (5e15ma)",
    )
    parser.add_argument("--most", type=int, metavar="N", help="trainings of a configuration in all (default: 20)")
    parser.add_argument("--dry-run", action="store_true", help="say what would be trained next, and end")
    parser.add_argument(
        "--hydra",
        action="append",
        default=[],
        metavar="OPTION",
        help="an option of Hydra, such as hydra/launcher=joblib; repeat it for several",
    )


def run(options: argparse.Namespace) -> None:
    """Train round by round, write the report, and exit with code 1 if the winner is undecided."""
    from sr.errors import UserError
    from sr.race.budget import Budget, Unit
    from sr.race.policy import MOST
    from sr.race.rounds import Race

    most = MOST if options.most is None else options.most
    if most < 2:
        raise UserError(f"--most must be 2 or more, got {most}")
    if others := [option for option in options.hydra if not option.startswith(("hydra.", "hydra/"))]:
        raise UserError(
            f"--hydra {others[0]}: must be an option of Hydra, such as hydra/launcher=joblib: "
            "every training keeps the options of its configuration"
        )
    budget = Budget.parse(options.budget) if options.budget else Budget(float("inf"), Unit.SECONDS)
    race = Race(options.folder, budget, most, options.hydra)
    try:
        is_decided = race.run(dry_run=options.dry_run)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: repeat the command to resume\n")
        sys.exit(_CTRL_C)
    if not (is_decided or options.dry_run):
        sys.exit(_UNDECIDED)
