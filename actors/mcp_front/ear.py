"""How the client of a call can be asked something while the call is served: it has one ear at most.

In the handshake eras the server asks over the session, beside the call. In the current protocol the call is answered
with what is asked, and the client makes it again with its answers; that call is attached to the same execution.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from ratchet.bodies.asks import AskRecord, Said

# Clients give up after ten answers that ask for something; one that got no more is followed by another call.
ROUNDS_MAX: Final = 10


@dataclass(frozen=True, slots=True)
class Reply:
    """What a client gives back; where there is no `said`, why there is none."""

    said: Said | None = None
    problem: Literal["refused", "unavailable"] = "unavailable"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class InSession:
    """A client that is asked beside the call; None where it is gone, and may come back in another session."""

    ask: Callable[[AskRecord], Awaitable[Reply | None]]


@dataclass(frozen=True, slots=True)
class ByRetry:
    """A client that makes the call again.

    Attributes:
        able: Whether it has said that it can be asked.
        execution_id: What an earlier call of these began; None: this is the first.
        rounds: How often it has been asked for something.
        replies: What it brings, by key.
    """

    able: bool
    execution_id: str | None = None
    rounds: int = 0
    replies: Mapping[str, Reply] = field(default_factory=dict[str, Reply])


Ear = InSession | ByRetry
