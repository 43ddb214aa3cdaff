"""Load `sr demo` with many honest and hostile visitors at once, and watch the server's files and resources.

python -m scripts.campaigns.load_demo              # a few minutes on two cores; writes benchmarks/load.json
python -m scripts.campaigns.load_demo --clients 8 --each 1

The real command is started on a free port of this machine and used over HTTP as by a browser: uploads, the queue, its
results. Each request must end in an image of the right size or in a one-line error; the page must still work
afterwards; memory, threads and the temporary folder must stay bounded; the server must not write outside its temporary
folder or connect to any address. File accesses are only checked if Linux's strace is installed. The exit code is 1 if
anything is violated.
"""

import argparse
import sys
from pathlib import Path

from scripts.bench.timing import save
from tests.support.demo_load.campaign import run_campaign


def main() -> None:
    """Load a server, print a table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=50, help="number of concurrent visitors")
    parser.add_argument("--each", type=int, default=5, help="number of requests of each kind")
    parser.add_argument("--seconds", type=float, default=600, help="time limit of the load")
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="only kinds with this text in their name; writes no file"
    )
    parser.add_argument("--log", type=Path, metavar="FILE", help="copy the server's log to this file")
    parser.add_argument("--seed", type=int, default=0, help="seed for the order of the requests")
    options = parser.parse_args()
    report = run_campaign(options.clients, options.each, options.seconds, options.seed, options.only)
    if options.log:
        options.log.write_text(report.log)
    if options.only or not report.rows:
        print(*report.rows, sep="\n")
    else:
        save("load", report.rows, facts=report.facts, violations=report.violations)
    print(report.facts)
    for violation in report.violations:
        print(f"violated: {violation}")
    if not report.facts.get("strace"):
        print("file accesses of the server were not checked: strace is not installed")
    sys.exit(bool(report.violations))


if __name__ == "__main__":
    main()
