"""An agent looks after a Ratchet: what failed in the last hour, why, and which of it can be mended by running it again.

python -m examples.use_case_monitoring               # a Ratchet that runs already (make run), over HTTP
python -m examples.use_case_monitoring --stdio       # one that is started for this, over stdio

So that there is something to look after, it makes a few mistakes first; with --look it does not.
"""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from examples.agent import Agent, Answer
from examples.corrections import corrected, why
from examples.program import arguments_of, run

_HOUR = timedelta(hours=1)

# What callers of the example tasks get wrong: a name, another name, and an order that nobody can bill.
_MISTAKES: tuple[tuple[str, Answer], ...] = (
    ("data-processor", {"file": "large-dataset.csv"}),
    ("data-processor", {"file": "large_dataset.csv", "station": "hill-top"}),
    ("failing", {"order": "A-2"}),
)


async def monitor(agent: Agent, since: datetime) -> Answer:
    """Analyse every execution that has failed, and run it again where there is something to be gained.

    Returns:
        How many were `failed`, `mended` and `left`.
    """
    failed = await _unattended(agent, since)
    counts = {"failed": len(failed), "mended": 0, "left": 0}
    for execution in failed:
        analysis = await agent.call("analyze_execution_error", execution_id=execution["execution_id"])
        print(f"\n{execution['task_id']} {execution['execution_id']}\n  {analysis['summary']}")
        counts["mended" if await _mend(agent, execution, analysis) else "left"] += 1
    return counts


async def _mend(agent: Agent, execution: Answer, analysis: Answer) -> bool:
    """Run it again with what the analysis offers. Returns whether that helped."""
    task_input = await _input(agent, execution)
    better = corrected(task_input, analysis)
    if better is None and not analysis["retryable"]["value"]:
        print("  this needs a person:", *(one["text"] for one in analysis["suggestions"][:1]))
        return False
    if better is None:
        print(f"  {analysis['retryable']['reason']}")
    again = await agent.follow(execution["task_id"], task_input if better is None else better, why(analysis))
    return again["status"] == "completed"


async def _unattended(agent: Agent, since: datetime) -> list[Answer]:
    """What has failed since then, oldest first, without what was run again, and without what was such a run itself."""
    executions = await _all(agent, since=since.isoformat())
    attended = {one["metadata"]["original_execution"] for one in executions if _is_rerun(one)}
    failed = await _all(agent, since=since.isoformat(), status="failed")
    return [one for one in reversed(failed) if one["execution_id"] not in attended and not _is_rerun(one)]


def _is_rerun(execution: Answer) -> bool:
    return "original_execution" in execution.get("metadata", {})


async def _all(agent: Agent, **filters: Any) -> list[Answer]:
    """Every page of `list_executions`."""
    page = await agent.call("list_executions", **filters)
    found: list[Answer] = page["executions"]
    while page["next_cursor"] is not None:
        page = await agent.call("list_executions", **filters, cursor=page["next_cursor"])
        found += page["executions"]
    return found


async def _input(agent: Agent, execution: Answer) -> Answer:
    """An execution's input, which a list leaves out where it is long."""
    if "input" in execution:
        return execution["input"]
    return (await agent.call("get_execution_status", execution_id=execution["execution_id"]))["input"]


async def _main(agent: Agent, mistakes: Sequence[tuple[str, Answer]]) -> None:
    since = datetime.now(UTC) - _HOUR
    for task_id, task_input in mistakes:
        await agent.follow(task_id, task_input)
    counts = await monitor(agent, since)
    print(f"\nFailures of the last hour: {counts['failed']}; mended: {counts['mended']}, left: {counts['left']}")


def main() -> int:
    """Look once; the exit code says only whether that was possible."""
    parser = arguments_of("use_case_monitoring", __doc__)
    parser.add_argument("--look", action="store_true", help="only look after what has failed already")
    arguments = parser.parse_args()
    return run(arguments, partial(_main, mistakes=() if arguments.look else _MISTAKES), "use_case_monitoring")


if __name__ == "__main__":
    sys.exit(main())
