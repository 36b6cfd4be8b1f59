"""Execution ids as people give them: whole, abbreviated, or `last`."""

import secrets

from ratchet.cli.connection import Caller
from ratchet.errors import UnknownExecutionError
from ratchet.messages import GET_EXECUTION, LIST_EXECUTIONS, GetExecution, ListExecutions
from ratchet.models import Execution

LAST = "last"
_PAGE = 200
_PAGES_MAX = 10
_SHOWN_MAX = 5


def new_execution_id() -> str:
    """A random id: 80 bits, so that its first characters tell executions apart."""
    return secrets.token_hex(10)


async def find_execution(client: Caller, given: str) -> Execution:
    """The execution that `given` names: `last`, an id, or the beginning of exactly one id.

    Raises:
        UnknownExecutionError: None fits, or several do.
    """
    if given == LAST:
        page = await client.call(LIST_EXECUTIONS, ListExecutions(limit=1))
        if not page.executions:
            raise UnknownExecutionError("there is no last execution: none was submitted yet")
        return await client.call(GET_EXECUTION, GetExecution(execution_id=page.executions[0].execution_id))
    try:
        return await client.call(GET_EXECUTION, GetExecution(execution_id=given))
    except UnknownExecutionError:
        found = await _beginning_with(client, given)
        return await client.call(GET_EXECUTION, GetExecution(execution_id=found))


async def _beginning_with(client: Caller, given: str) -> str:
    found: list[str] = []
    cursor: str | None = None
    for _ in range(_PAGES_MAX):
        page = await client.call(LIST_EXECUTIONS, ListExecutions(limit=_PAGE, cursor=cursor))
        found += [one.execution_id for one in page.executions if given and one.execution_id.startswith(given)]
        cursor = page.next_cursor
        if cursor is None:
            break
    match found:
        case [one]:
            return one
        case []:
            scope = "" if cursor is None else f" among the newest {_PAGE * _PAGES_MAX}"
            raise UnknownExecutionError(f"no execution{scope} has an id that is or begins with {given!r}")
        case several:
            shown = ", ".join(several[:_SHOWN_MAX]) + (", …" if len(several) > _SHOWN_MAX else "")
            raise UnknownExecutionError(f"{len(several)} executions have an id that begins with {given!r}: {shown}")
