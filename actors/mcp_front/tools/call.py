"""One call of a tool, as its handler sees it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from actors.mcp_front.answers.answer import Answer
from actors.mcp_front.caller import Caller
from actors.mcp_front.ear import Ear
from actors.mcp_front.front import Front
from actors.mcp_front.protocol.log_relay import LogWish
from actors.mcp_front.protocol.progress import Send
from actors.mcp_front.wording import Wording
from ratchet.models import JsonObject


@dataclass(frozen=True, slots=True)
class ToolCall:
    """Valid arguments with every default filled in, and where the call comes from.

    Attributes:
        arguments: By the names of the input schema.
        caller: Who makes it.
        front: Where it arrived.
        wording: Of answers to this caller: without what it may not use.
        send_progress: Sends a progress notification; None where the client wants none.
        log_wish: What it wants to hear of the log; None: nothing.
        ear: How its client can be asked; None: not at all.
    """

    arguments: JsonObject
    caller: Caller
    front: Front
    wording: Wording
    send_progress: Send | None = None
    log_wish: LogWish | None = None
    ear: Ear | None = None


ToolHandler = Callable[[ToolCall], Awaitable[Answer]]
