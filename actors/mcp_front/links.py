"""Addresses that answers hand out. None is ever given that does not answer."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Links:
    """Where an execution's trace and logs can be fetched.

    Attributes:
        base: `http://host:port` of the HTTP front; None where there is none.
        traces: Whether whoever gets them may read traces.
        lines: Whether whoever gets them may read logs.
    """

    base: str | None = None
    traces: bool = True
    lines: bool = True

    def trace(self, execution_id: str) -> str | None:
        """Its trace: as JSON, and as a page for browsers."""
        return f"{self.base}/traces/{execution_id}" if self.base is not None and self.traces else None

    def visualization(self, execution_id: str) -> str | None:
        """Its trace as a waterfall, for people."""
        trace = self.trace(execution_id)
        return None if trace is None else f"{trace}/visualize"

    def logs(self, execution_id: str) -> str | None:
        """Its logs, likewise."""
        return f"{self.base}/logs/{execution_id}" if self.base is not None and self.lines else None
