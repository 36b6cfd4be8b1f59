"""`make fuzz N=… SEED=…`: hostile input on every core, until something breaks."""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from tests.fuzz.play import INPUTS_PER_WORLD, play


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1, help=f"the first one; each gives {INPUTS_PER_WORLD} inputs")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--go-on", action="store_true", help="do not end at the first that fails")
    options = parser.parse_args()
    seeds = range(options.seed, options.seed + max(1, options.inputs // INPUTS_PER_WORLD))
    began, failed, played = time.monotonic(), 0, 0
    with (
        tempfile.TemporaryDirectory(prefix="ratchet-fuzz-") as folder,
        multiprocessing.get_context("fork").Pool(min(options.jobs, len(seeds))) as pool,
    ):
        for seed, violated in pool.imap_unordered(partial(_play, folder=Path(folder)), seeds):
            played += 1
            if violated:
                failed += 1
                print(f"seed {seed} violates:", *violated[:20], f"to replay it: make fuzz N=1 SEED={seed}", sep="\n  ")
                if not options.go_on:
                    break
    seconds = time.monotonic() - began
    print(
        f"{played * INPUTS_PER_WORLD} inputs from seed {options.seed} in {seconds:.1f} s "
        f"({played * INPUTS_PER_WORLD / seconds:.0f}/s): {failed} of {played} worlds failed"
    )
    return 1 if failed else 0


def _play(seed: int, folder: Path) -> tuple[int, list[str]]:
    place = folder / str(os.getpid())
    place.mkdir(exist_ok=True)
    return seed, play(seed, place)


if __name__ == "__main__":
    sys.exit(main())
