"""`python -m benchmarks [--only mcp|stdio|ipc|executions|memory|peers]`: a table, and the same in build/bench.json.

All parts but peers, which installs what it compares with.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import cast

import httpx
from rich.console import Console
from rich.table import Table

from benchmarks import (
    calls,
    curve_calls,
    dramatiq_peer,
    executions,
    fastmcp_peer,
    http_calls,
    memory,
    ray_peer,
    stdio_start,
    stored,
    streams,
    tokens,
)
from benchmarks.figure import Figure
from benchmarks.processes import ROOT
from ipc.errors import IpcError

PARTS: dict[str, tuple[Callable[[], list[Figure]], ...]] = {
    "mcp": (http_calls.measure,),
    "stdio": (stdio_start.measure,),
    "ipc": (calls.measure, curve_calls.measure, streams.measure, tokens.measure),
    "executions": (executions.measure, stored.measure),
    "memory": (memory.measure,),
    "peers": (fastmcp_peer.measure, dramatiq_peer.measure, ray_peer.measure),
}
_ONLY_WHEN_ASKED_FOR = {"peers"}  # it installs what it compares with


def main() -> int:
    """Measure, print, write; the exit code is 1 where a part failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure Ratchet.")
    parser.add_argument("--only", choices=PARTS, help="one part instead of all")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench.json", help="the file to write")
    arguments = parser.parse_args()
    console = Console() if sys.stdout.isatty() else Console(width=110)
    figures: list[Figure] = []
    failed: list[str] = []
    for part in [arguments.only] if arguments.only else [part for part in PARTS if part not in _ONLY_WHEN_ASKED_FOR]:
        started = time.monotonic()
        found: list[Figure] = []
        for measure in PARTS[part]:
            try:
                with console.status(f"measuring {part}"):
                    found += measure()
            except* (RuntimeError, IpcError, httpx.HTTPError) as errors:
                first = next(iter(leaves(errors)))
                console.print(f"{part} failed: {type(first).__name__}: {first}", style="red")
                failed.append(part)
        figures += found
        if found:
            console.print(_table(part, found))
        console.print(f"{part} took {time.monotonic() - started:.0f} s", style="dim")
    output: Path = arguments.output
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps([figure.record() for figure in figures], indent=2) + "\n", encoding="utf-8")
    console.print(f"written to {output}")
    return 1 if failed else 0


def leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """The errors in a group and in the groups within it."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(cast("BaseExceptionGroup[BaseException]", error))
        else:
            yield error


def _table(part: str, figures: Sequence[Figure]) -> Table:
    table = Table(title=part, title_justify="left")
    table.add_column("figure")
    for heading in ("value", "bare", "ratio", "samples"):
        table.add_column(heading, justify="right")
    for figure in figures:
        baseline = "" if figure.baseline is None else f"{figure.baseline:,.1f}"
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        table.add_row(figure.name, f"{figure.value:,.1f} {figure.unit}", baseline, ratio, f"{figure.samples:,}")
    return table


if __name__ == "__main__":
    sys.exit(main())
