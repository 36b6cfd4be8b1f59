"""The tool that looks into an execution that runs: inspect_execution."""

from actors.mcp_front.answers import inspection_answers
from actors.mcp_front.answers.answer import Answer
from actors.mcp_front.tools.call import ToolCall
from ratchet import rpc
from ratchet.bodies.inspection import InspectExecution
from ratchet.messages import INSPECT_EXECUTION

_SECONDS = 10.0


async def inspect_execution(call: ToolCall) -> Answer:
    """What a running execution is doing at this moment."""
    body = InspectExecution(client=call.caller.client, execution_id=call.arguments["execution_id"])
    found = await rpc.call(call.front.link, INSPECT_EXECUTION, body, timeout_seconds=_SECONDS)
    return inspection_answers.inspection(found, call.wording)
