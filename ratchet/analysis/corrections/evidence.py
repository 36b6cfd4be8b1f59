"""All that is known about one failure when corrections of its input are looked for."""

from collections.abc import Sequence
from dataclasses import dataclass

from ratchet.analysis.corrections.known_names import KnownNames, known_names, texts_of
from ratchet.models import ExceptionInfo, Execution, Failure, JsonObject, LogRecord


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known about one failure.

    Attributes:
        failure: What it is.
        path: From the raised exception to the root cause.
        given: The input.
        schema: The task's input schema as it is now; None where the task is gone.
        records: The end of its log.
        completed: Executions of the same task that completed, newest first.
    """

    failure: Failure
    path: Sequence[ExceptionInfo]
    given: JsonObject
    schema: JsonObject | None
    records: Sequence[LogRecord]
    completed: Sequence[Execution]

    @property
    def texts(self) -> list[str]:
        """Messages with their notes, the root cause's first."""
        return texts_of(self.path) or [self.failure.message]

    @property
    def names(self) -> KnownNames:
        """Names that the failure or the log say there are."""
        return known_names(self.texts, self.records)
