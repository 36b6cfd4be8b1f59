"""Looking into an execution that runs: whose it is, and which worker has it."""

from actors.task_runner.behalf import acting
from actors.task_runner.desk import Desk
from ipc.link import Link, Request
from ratchet import messages, rpc
from ratchet.bodies.executions import GetExecution
from ratchet.bodies.inspection import InspectAttempt, InspectExecution, Inspection
from ratchet.errors import RequestError
from ratchet.models import Execution
from ratchet.policy.decision import Action
from ratchet.policy.enforce import require

_WORKER_SECONDS = 5.0


class Inspecting:
    """Serves `executions.inspect`."""

    def __init__(self, desk: Desk, link: Link) -> None:
        self._desk = desk
        self._link = link

    async def inspect(self, body: InspectExecution, request: Request) -> Inspection:
        """What a running execution of the client is doing now.

        Raises:
            ForbiddenError: The client may not read traces.
            UnknownExecutionError: No execution of the client has this id.
            RequestError: It does not run.
            IpcError: Its worker did not answer.
        """
        require(acting(body, request), Action("can_read_traces"))
        wanted = GetExecution(client=body.client, execution_id=body.execution_id)
        execution = await self._desk.get(wanted, request)
        attempt = execution.attempts[-1] if execution.attempts else None
        if not execution.status.active or attempt is None or attempt.worker is None:
            raise RequestError(_not_running(execution))
        ask = InspectAttempt(execution_id=execution.execution_id, fence=attempt.fence)
        return await rpc.call(
            self._link, messages.INSPECT_ATTEMPT, ask, target=attempt.worker, timeout_seconds=_WORKER_SECONDS
        )


def _not_running(execution: Execution) -> str:
    if execution.status.terminal:
        return f"{execution.execution_id} has ended ({execution.status}): its log and its trace say what it did"
    reason = f" ({execution.waiting_for})" if execution.waiting_for else ""
    return f"{execution.execution_id} waits in the queue{reason}: there is no process of it to look into yet"
