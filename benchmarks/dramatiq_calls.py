"""The trivial task as an actor of Dramatiq, and its callers: run by `benchmarks.dramatiq_peer`.

In an environment that has Dramatiq and nothing of Ratchet. Its workers import this module; as a program it reads lines
`outstanding seconds`, and answers each with a line of JSON: what calls took, and the time in all.
"""

# pyright: basic, reportMissingImports=false, reportMissingTypeStubs=false
# Dramatiq is not installed where the types are checked.

import json
import os
import sys
import time
from collections import deque
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

_WAIT_MS = 60_000

broker = RedisBroker(url=os.environ["BENCH_REDIS"])
broker.add_middleware(Results(backend=RedisBackend(url=os.environ["BENCH_REDIS"])))
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True, max_retries=0)
def echo(text: str) -> str:
    """Return the text."""
    return text


def call(outstanding: int, seconds: float) -> dict[str, Any]:
    """Keep so many messages under way for so long."""
    took: list[float] = []
    began = time.perf_counter()
    until = began + seconds
    started = deque((time.perf_counter(), echo.send("hello")) for _ in range(outstanding))
    while started:
        at, oldest = started.popleft()
        if oldest.get_result(block=True, timeout=_WAIT_MS) != "hello":
            raise RuntimeError("an actor of Dramatiq answered something else")
        now = time.perf_counter()
        took.append(1000 * (now - at))
        if now < until:
            started.append((now, echo.send("hello")))
    return {"milliseconds": took, "seconds": time.perf_counter() - began}


def main() -> None:
    """Until the input ends."""
    for line in sys.stdin:
        outstanding, seconds = line.split()
        print(json.dumps(call(int(outstanding), float(seconds))), flush=True)


if __name__ == "__main__":
    main()
