"""`make chaos`: many executions while every kind of process is killed, stopped, restarted and starved of disk."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.chaos import report
from tests.chaos.plan import TARGETS
from tests.chaos.run import run


def main() -> int:
    """Run it; 1 where an invariant was violated."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--executions", type=int, default=10_000, help="how many")
    parser.add_argument("--seed", type=int, default=1, help="of the faults and the mixture of tasks")
    parser.add_argument("--only", default=",".join(TARGETS), help="kinds of processes that are struck")
    parser.add_argument("--keep", type=Path, help="a new folder for the project, which is left there")
    given = parser.parse_args()
    only = [one for one in given.only.split(",") if one]
    if unknown := set(only) - set(TARGETS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    with tempfile.TemporaryDirectory(prefix="chaos-") as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        outcome = asyncio.run(run(folder, given.executions, given.seed, only=only))
    sys.stdout.write(report.told(outcome))
    return 1 if outcome.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
