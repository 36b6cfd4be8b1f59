"""`make sim N=… SEED=…`: play many schedules, on every core, and show the first that violates an invariant."""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from tests.simulation.play import STEPS, Played, play

_TRAIL_SHOWN = 400


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--schedules", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1, help="the first one")
    parser.add_argument("--steps", type=int, default=STEPS, help="of each schedule")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--verbose", action="store_true", help="show what the actors log, too")
    parser.add_argument("--go-on", action="store_true", help="do not end at the first that fails")
    options = parser.parse_args()
    began = time.monotonic()
    failed = played = executions = 0
    with tempfile.TemporaryDirectory(prefix="ratchet-sim-") as folder:
        for one in _played(options, Path(folder)):
            played += 1
            executions += one.executions
            if one.violated:
                failed += 1
                _show(one)
                if not options.go_on:
                    break
            if played % 1000 == 0:
                print(f"{played} schedules, {played / (time.monotonic() - began):.0f}/s, {failed} failed", flush=True)
    seconds = time.monotonic() - began
    print(
        f"{played} schedules from seed {options.seed} with {executions} executions in {seconds:.1f} s "
        f"({played / seconds:.0f}/s): {failed} failed"
    )
    return 1 if failed else 0


def _played(options: argparse.Namespace, folder: Path) -> Iterable[Played]:
    seeds = range(options.seed, options.seed + options.schedules)
    one = partial(_play, folder=folder, steps=options.steps, verbose=options.verbose)
    if options.jobs == 1 or len(seeds) == 1:
        yield from map(one, seeds)
        return
    with multiprocessing.get_context("fork").Pool(options.jobs) as pool:
        yield from pool.imap_unordered(one, seeds, chunksize=10)


def _play(seed: int, folder: Path, *, steps: int, verbose: bool) -> Played:
    place = folder / str(os.getpid())
    place.mkdir(exist_ok=True)
    return play(seed, place, steps=steps, verbose=verbose)


def _show(one: Played) -> None:
    print(f"seed {one.seed} (digest {one.digest}) violates:")
    for violated in one.violated:
        print(f"  {violated}")
    print("what happened:")
    for line in one.trail[-_TRAIL_SHOWN:]:
        print(f"  {line}")
    print(f"to replay it: make sim N=1 SEED={one.seed} ARGS='--steps {one.steps} --verbose'", flush=True)


if __name__ == "__main__":
    sys.exit(main())
