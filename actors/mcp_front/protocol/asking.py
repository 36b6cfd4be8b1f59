"""Asking the client's own LLM: sampling, in the way of each era. What is asked, and when, is decided elsewhere.

What the current protocol has the client carry from one call to the next is sealed by the SDK with the project's key:
whoever brings it was given it for this call, by a front of this project.
"""

import json
from collections.abc import Sequence

import mcp_types as t
from mcp.shared.exceptions import MCPError, NoBackChannelError
from mcp.shared.message import ServerMessageMetadata
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from actors.mcp_front.caller import Context
from actors.mcp_front.ear import ByRetry, Ear, InSession, Reply
from ratchet.bodies.asks import ANSWER_CHARACTERS_MAX, AskRecord, Said, Sampling
from ratchet.llm.bodies import ChatMessage

_USER_REFUSED = -1  # what the specification gives as the code of a request that the user rejected
_FINISH = {"endTurn": "stop", "stopSequence": "stop", "maxTokens": "length"}


def ear_of(context: Context, params: t.CallToolRequestParams) -> Ear | None:
    """How the client of this call can be asked; None: not at all."""
    capabilities = context.session.client_capabilities
    able = capabilities is not None and capabilities.sampling is not None
    if context.protocol_version in MODERN_PROTOCOL_VERSIONS:
        return _retrying(params, able=able)
    if not able or not context.session.can_send_request:
        return None
    return InSession(lambda ask: _ask(context, ask))


def _retrying(params: t.CallToolRequestParams, *, able: bool) -> ByRetry:
    if params.request_state is None:
        return ByRetry(able)
    carried = json.loads(params.request_state)
    replies = {key: _reply(one) for key, one in (params.input_responses or {}).items()}
    return ByRetry(able, carried["execution_id"], carried["rounds"], replies)


def asked(execution_id: str, asks: Sequence[AskRecord], ear: ByRetry) -> t.InputRequiredResult:
    """The answer to a call that has to be made again."""
    return t.InputRequiredResult(
        input_requests={ask.key: _request(ask.request) for ask in asks},
        request_state=json.dumps({"execution_id": execution_id, "rounds": ear.rounds + 1}),
    )


async def _ask(context: Context, ask: AskRecord) -> Reply | None:
    metadata = ServerMessageMetadata(related_request_id=context.request_id)
    try:
        result = await context.session.send_request(_request(ask.request), t.CreateMessageResult, metadata=metadata)
    except NoBackChannelError:
        return Reply(reason="the client cannot be asked on this connection")
    except MCPError as error:
        if error.code == t.CONNECTION_CLOSED:
            return None
        return Reply(problem="refused" if error.code == _USER_REFUSED else "unavailable", reason=error.message)
    except ValidationError:
        return Reply(reason="the client's answer is not the protocol's")
    return _reply(result)


def _request(sampling: Sampling) -> t.CreateMessageRequest:
    hints = None if sampling.model is None else [t.ModelHint(name=sampling.model)]
    return t.CreateMessageRequest(
        params=t.CreateMessageRequestParams(
            messages=[_message(message) for message in sampling.messages],
            system_prompt=sampling.system,
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            model_preferences=None if hints is None else t.ModelPreferences(hints=hints),
        )
    )


def _message(message: ChatMessage) -> t.SamplingMessage:
    role = "assistant" if message.role == "assistant" else "user"
    return t.SamplingMessage(role=role, content=t.TextContent(type="text", text=message.content))


def _reply(response: t.InputResponse) -> Reply:
    if not isinstance(response, t.CreateMessageResult | t.CreateMessageResultWithTools):
        return Reply(reason="the client answered something else than it was asked")
    content = response.content if isinstance(response.content, list) else [response.content]
    text = "".join(part.text for part in content if isinstance(part, t.TextContent))
    if not text:
        return Reply(reason="the client's answer has no text")
    if len(text) > ANSWER_CHARACTERS_MAX:
        return Reply(reason=f"the client's answer has {len(text)} characters and may have {ANSWER_CHARACTERS_MAX}")
    reason = response.stop_reason or "endTurn"
    return Reply(Said(text=text, model=response.model, finish_reason=_FINISH.get(reason, reason)))
