"""From the spawn of a stdio server to its answer to `initialize`: with a supervisor running, without, and bare."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks.figure import Figure
from benchmarks.processes import ROOT, project, running_ratchet

_ROUNDS = 8
_WARM_PER_ROUND = 3
_COLD_ROUNDS = 5
_EXIT_SECONDS = 20

_INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "bench", "version": "1"},
    },
}


def measure() -> list[Figure]:
    """The figures of this part: medians."""
    bare_beside_warm: list[float] = []
    warm: list[float] = []
    bare_beside_cold: list[float] = []
    cold: list[float] = []
    bare_command = [sys.executable, "-m", "benchmarks.bare_server", "stdio"]
    with running_ratchet() as folder:
        for _ in range(_ROUNDS):
            bare_beside_warm.append(_start(bare_command))
            warm += [_start(folder.command("stdio")) for _ in range(_WARM_PER_ROUND)]
    for _ in range(_COLD_ROUNDS):
        bare_beside_cold.append(_start(bare_command))
        with project() as folder:
            cold.append(_start(folder.command("stdio")))
            subprocess.run(folder.command("down"), capture_output=True, check=False)
    return [
        _median("stdio start to initialize, supervisor running", warm, bare_beside_warm),
        _median("stdio start to initialize, no supervisor", cold, bare_beside_cold),
    ]


def _median(name: str, took: Sequence[float], bare: Sequence[float]) -> Figure:
    return Figure(name, statistics.median(took), "ms", len(took), statistics.median(bare))


def _start(command: Sequence[str]) -> float:
    """Milliseconds until `initialize` is answered.

    Raises:
        RuntimeError: It is not answered.
    """
    started = time.perf_counter()
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(json.dumps(_INITIALIZE).encode() + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
        took = 1000 * (time.perf_counter() - started)
        process.stdin.close()
        if b"serverInfo" not in line:
            raise RuntimeError(f"{command[0]} answered {line[:500]!r}: {process.stderr.read()[-2000:].decode()}")
        process.wait(_EXIT_SECONDS)
    return took
