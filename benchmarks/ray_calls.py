"""Calls of a Ray actor, in an environment that has Ray and nothing of Ratchet: run by `benchmarks.ray_peer`.

Reads lines `outstanding seconds body_bytes`, answers each with a line of JSON: what calls took, and the time in all.
"""

# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false
# Ray is not installed where the types are checked.

import json
import sys
import time
from collections import deque
from typing import Any

import ray


@ray.remote
class Echo:
    """An actor in a process of its own."""

    def echo(self, body: bytes) -> bytes:
        """What came."""
        return body


def call(actor: Any, outstanding: int, seconds: float, body: bytes) -> dict[str, Any]:
    """Keep so many calls under way for so long."""
    took: list[float] = []
    began = time.perf_counter()
    until = began + seconds
    started = deque((time.perf_counter(), actor.echo.remote(body)) for _ in range(outstanding))
    while started:
        at, oldest = started.popleft()  # an actor answers in order
        ray.get(oldest)
        now = time.perf_counter()
        took.append(1000 * (now - at))
        if now < until:
            started.append((now, actor.echo.remote(body)))
    return {"milliseconds": took, "seconds": time.perf_counter() - began}


def main() -> None:
    """Until the input ends."""
    ray.init(num_cpus=1, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    actor = Echo.remote()
    ray.get(actor.echo.remote(b""))
    print(json.dumps({"ray": ray.__version__}), flush=True)
    for line in sys.stdin:
        outstanding, seconds, body_bytes = line.split()
        print(json.dumps(call(actor, int(outstanding), float(seconds), bytes(int(body_bytes)))), flush=True)
    ray.shutdown()


if __name__ == "__main__":
    main()
