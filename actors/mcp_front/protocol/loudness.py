"""How much of a log the sessions of the handshake eras want to hear."""

from collections import OrderedDict

from mcp_types import LoggingLevel

_SESSIONS_MAX = 1_000


class Loudness:
    """From which severity on sessions of the handshake eras want to hear; the newest of them."""

    def __init__(self) -> None:
        self._wanted: OrderedDict[str, LoggingLevel] = OrderedDict()

    def set(self, session: str, level: LoggingLevel) -> None:
        """Take what a session wants."""
        self._wanted[session] = level
        self._wanted.move_to_end(session)
        if len(self._wanted) > _SESSIONS_MAX:
            self._wanted.popitem(last=False)

    def get(self, session: str | None) -> LoggingLevel | None:
        """What it wants; None: nothing."""
        return None if session is None else self._wanted.get(session)
