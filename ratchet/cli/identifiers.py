"""Execution ids as people give them: whole, abbreviated, or `last`."""

from ratchet.bodies.executions import GetExecution, ListExecutions
from ratchet.cli.connection import Caller
from ratchet.errors import UnknownExecutionError
from ratchet.messages import GET_EXECUTION, LIST_EXECUTIONS
from ratchet.models import Execution

LAST = "last"
_PAGE = 200
_PAGES_MAX = 10
_SHOWN_MAX = 5


async def find_execution(client: Caller, given: str) -> Execution:
    """The execution that `given` names: `last`, an id, or the beginning or the end of exactly one id.

    Ids begin with their time, so it is mostly the end that tells two of one day apart.

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
        found = await _abbreviated(client, given)
        return await client.call(GET_EXECUTION, GetExecution(execution_id=found))


async def _abbreviated(client: Caller, given: str) -> str:
    found: list[str] = []
    cursor: str | None = None
    for _ in range(_PAGES_MAX):
        page = await client.call(LIST_EXECUTIONS, ListExecutions(limit=_PAGE, cursor=cursor))
        found += [one.execution_id for one in page.executions if given and _fits(one.execution_id, given)]
        cursor = page.next_cursor
        if cursor is None:
            break
    match found:
        case [one]:
            return one
        case []:
            scope = "" if cursor is None else f" among the newest {_PAGE * _PAGES_MAX}"
            raise UnknownExecutionError(f"no execution{scope} has an id that is, begins or ends with {given!r}")
        case several:
            shown = ", ".join(several[:_SHOWN_MAX]) + (", …" if len(several) > _SHOWN_MAX else "")
            fit = f"{len(several)} executions have an id that begins or ends with {given!r}"
            raise UnknownExecutionError(f"{fit}: {shown}")


def _fits(execution_id: str, given: str) -> bool:
    return execution_id.startswith(given) or execution_id.endswith(given)
