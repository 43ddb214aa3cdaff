"""Load on `sr demo`: many visitors at once, honest and hostile, and what the server reads, writes and holds meanwhile.

python -m scripts.campaigns.load_demo              # a few minutes on two cores; writes benchmarks/load.json
python -m scripts.campaigns.load_demo --clients 8 --each 1

The real command is started on a free port of this machine and asked over HTTP as a browser asks: uploads, the queue,
its answers. Each request has to end in an image of the right size or in a one-line error; the page has to answer
afterwards; memory, threads and the temporary folder have to stay bounded; the server may write nothing outside its
temporary folder and connect to no address. What it opens is only checked where Linux's strace is installed. The exit
code is 1 if anything is violated.
"""

import argparse
import sys
from pathlib import Path

from scripts.bench.timing import save
from tests.support.demo_load.campaign import run_campaign


def main() -> None:
    """Load a server, print a table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=50, help="visitors at once")
    parser.add_argument("--each", type=int, default=5, help="how often each kind of request is sent")
    parser.add_argument("--seconds", type=float, default=600, help="that the load may take")
    parser.add_argument("--only", default="", metavar="TEXT", help="kinds with this in their name; writes no file")
    parser.add_argument("--log", type=Path, metavar="FILE", help="where to copy the server's log")
    parser.add_argument("--seed", type=int, default=0, help="of the order of the requests")
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
        print("what the server opens was not checked: strace is not installed")
    sys.exit(bool(report.violations))


if __name__ == "__main__":
    main()
