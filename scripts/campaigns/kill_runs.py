"""Kill training repeatedly, restart it with the same command, and compare the result with an undisturbed run.

python -m scripts.campaigns.kill_runs              # about 20 minutes on two cores; writes benchmarks/kills.json
python -m scripts.campaigns.kill_runs --kinds run --kills 5

Each round trains small networks in a fresh folder: one run, two folds, a grid, a grid whose cells run in parallel, or a
search. The command is killed at random moments (while it starts, trains, validates or writes a file), mostly by
SIGKILL, sometimes by SIGTERM, and repeated until it finishes. Both folders must then have the same contents: the last
and the best checkpoint bit for bit (weights, optimizer, schedule, averages, random states), the tables and TensorBoard
curves except for their times, and the trials of a search. The exit code is 1 if anything differs.
"""

import argparse
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from rich.progress import Progress, TaskID

from scripts.bench.timing import save
from tests.support.kills import KINDS, make_images, run_to_end, run_with_kills, training_command
from tests.support.run_differences import differences


def kill_rounds(
    kind: str, root: Path, kills: int, kills_per_round: int, rng: random.Random, progress: Progress, bar: TaskID
) -> dict[str, Any]:
    """Kill training of this kind ``kills`` times in total; returns a row of the table."""
    undisturbed = root.parent / f"{kind} undisturbed"
    run_to_end(training_command(kind, root, undisturbed), undisturbed)
    interrupted: Counter[str] = Counter()
    rounds = equal = 0
    while interrupted.total() < kills:
        folder = root.parent / f"{kind} {rounds}"
        count = min(kills_per_round, kills - interrupted.total())
        for moment in run_with_kills(training_command(kind, root, folder), folder, count, rng):
            interrupted[moment] += 1
            progress.advance(bar)
        rounds += 1
        run_differences = differences(undisturbed, folder)
        equal += not run_differences
        for difference in run_differences:
            progress.console.print(f"{folder.name}: differs in {difference}", markup=False)
    row = {"what": kind, "rounds": rounds, "kills": interrupted.total(), "rounds that ended equal": equal}
    return row | {"hit while": dict(sorted(interrupted.items()))}


def main() -> None:
    """Kill each kind of training, print a table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS), help="kinds of training")
    parser.add_argument("--kills", type=int, default=105, help="total number of kills")
    parser.add_argument("--each", type=int, default=5, help="kills per round")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random moments")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    share = -(-options.kills // len(options.kinds))
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, Progress(transient=True) as progress:
        bar = progress.add_task("kills", total=share * len(options.kinds))
        root = make_images(Path(folder, "data"))
        for kind in options.kinds:
            rows.append(kill_rounds(kind, root, share, options.each, rng, progress, bar))
            save("kills", rows)
    sys.exit(any(row["rounds"] != row["rounds that ended equal"] for row in rows))


if __name__ == "__main__":
    main()
