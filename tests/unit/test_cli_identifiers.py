"""Execution ids: whole, abbreviated, or `last`."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from ratchet.bodies.executions import ExecutionPage
from ratchet.cli.identifiers import find_execution
from ratchet.errors import UnknownExecutionError
from ratchet.messages import GET_EXECUTION, LIST_EXECUTIONS, Procedure
from ratchet.models import Execution, JsonObject, Source, Status


class Runner:
    """Knows executions, newest first."""

    def __init__(self, ids: Sequence[str]) -> None:
        self.executions = {one: _execution(one) for one in ids}

    async def call(
        self,
        procedure: Procedure[Any, Any],
        request: Any,
        *,
        target: str | None = None,
        timeout_seconds: float = 30,
        on_progress: Callable[[JsonObject], None] | None = None,
    ) -> Any:
        if procedure is GET_EXECUTION:
            if request.execution_id not in self.executions:
                raise UnknownExecutionError(f"no execution has the id {request.execution_id!r}")
            return self.executions[request.execution_id]
        assert procedure is LIST_EXECUTIONS
        start = int(request.cursor or 0)
        listed = list(self.executions.values())
        end = start + request.limit
        return ExecutionPage(executions=listed[start:end], next_cursor=str(end) if end < len(listed) else None)


def _execution(execution_id: str) -> Execution:
    return Execution(
        execution_id=execution_id,
        task_id="t",
        version="v",
        status=Status.COMPLETED,
        input={},
        source=Source(kind="cli"),
        created_ns=0,
    )


@pytest.mark.parametrize(
    ("given", "found"), [("abc123", "abc123"), ("abd", "abd999"), ("last", "ff00"), ("abc", "abc")]
)
async def test_an_id_its_unique_beginning_or_last(given: str, found: str) -> None:
    runner = Runner(["ff00", "abc123", "abd999", "abc"])
    assert (await find_execution(runner, given)).execution_id == found


async def test_a_beginning_is_looked_for_on_every_page() -> None:
    runner = Runner([f"{number:06d}" for number in range(900)] + ["zz1"])
    assert (await find_execution(runner, "zz")).execution_id == "zz1"


async def test_an_ambiguous_beginning_names_what_it_may_mean() -> None:
    with pytest.raises(UnknownExecutionError, match=r"2 executions .*'ab'.*abc123, abd999"):
        await find_execution(Runner(["abc123", "abd999"]), "ab")


@pytest.mark.parametrize("given", ["nothing", ""])
async def test_an_unknown_id_is_an_error(given: str) -> None:
    with pytest.raises(UnknownExecutionError):
        await find_execution(Runner(["abc123"]), given)


async def test_last_of_none_is_an_error() -> None:
    with pytest.raises(UnknownExecutionError, match="none was submitted"):
        await find_execution(Runner([]), "last")


async def test_the_end_of_an_id_is_enough() -> None:
    assert (await find_execution(Runner(["exec_01aa", "exec_01bb"]), "bb")).execution_id == "exec_01bb"
