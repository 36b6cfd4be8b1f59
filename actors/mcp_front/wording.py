"""What answers need to know of the front that they come from."""

from dataclasses import dataclass

from actors.mcp_front.links import Links
from actors.mcp_front.naming import ToolNames

_FOLLOW_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Wording:
    """How its tools are named, where its pages are, and how long it lets a call wait."""

    names: ToolNames
    links: Links
    wait_seconds_max: float

    def follow(self, execution_id: str) -> str:
        """The call that waits for an execution."""
        seconds = min(_FOLLOW_SECONDS, int(self.wait_seconds_max))
        return self.names.call("get_execution_status", execution_id=execution_id, wait_seconds=seconds)
