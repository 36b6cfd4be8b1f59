"""Addresses that answers hand out. None is ever given that does not answer."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Links:
    """Where an execution's trace and logs can be fetched.

    Attributes:
        base: `http://host:port` of the HTTP front; None where there is none.
    """

    base: str | None = None

    def trace(self, execution_id: str) -> str | None:
        """Its trace as JSON."""
        return None if self.base is None else f"{self.base}/traces/{execution_id}"

    def logs(self, execution_id: str) -> str | None:
        """Its logs as JSON."""
        return None if self.base is None else f"{self.base}/logs/{execution_id}"
