"""An LLM's answer on its way from the gateway to a child, token by token, through a whole Ratchet.

The scripted route answers at once, so what is measured is the way: gateway, hub, worker, child. The task itself
takes the times.
"""

from typing import Any

from benchmarks.figure import Figure, percentile
from benchmarks.processes import running_ratchet

_TOKENS = 4000
_STREAMS = 5
_FIRSTS = 40
_WARM_UP = 5

_TASKS = '''"""What reads the answers."""

import time

from ratchet import Context, task


@task
def tokens(ctx: Context, streams: int, firsts: int) -> dict[str, list[float]]:
    """Seconds until the first token of short answers, and tokens per second of long ones."""
    first, rates = [], []
    for _ in range(firsts):
        started = time.perf_counter()
        for _ in ctx.llm.stream("short"):
            first.append(time.perf_counter() - started)
            break
    for _ in range(streams):
        started = time.perf_counter()
        count = sum(1 for _ in ctx.llm.stream("long"))
        rates.append(count / (time.perf_counter() - started))
    return {"first": first, "rates": rates}
'''


def measure() -> list[Figure]:
    """The figures of this part.

    Raises:
        RuntimeError: The task failed.
    """
    scripted = (
        f"llm:\n  scripted:\n    - pattern: long\n      answer: '{'word ' * _TOKENS}'\n    - answer: a few words\n"
    )
    with running_ratchet(_TASKS, scripted) as folder:
        run: Any = folder.ask("run", "tokens", "--input", f'{{"streams": {_STREAMS}, "firsts": {_FIRSTS}}}')
    if run is None or run["status"] != "completed":
        raise RuntimeError(f"the task that reads tokens: {run}")
    first: list[float] = run["output"]["first"][_WARM_UP:]
    rates: list[float] = run["output"]["rates"]
    return [
        Figure("gateway to child, first token, p50", 1000 * percentile(first, 50), "ms", len(first)),
        Figure("gateway to child, first token, p99", 1000 * percentile(first, 99), "ms", len(first)),
        Figure("gateway to child, rate", percentile(rates, 50), "tokens/s", _STREAMS * _TOKENS),
    ]
