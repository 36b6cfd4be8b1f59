"""What is asked of the log-store and of the trace-store."""

from ratchet.models import Level, LogRecord, Model, Span


class AppendLogs(Model):
    """Durable when answered; a record whose (execution_id, attempt, sequence) is known is ignored.

    `patient` says that nobody waits for the answer: what is written may wait a little for company.
    """

    execution_id: str
    attempt: int
    records: list[LogRecord]
    patient: bool = False


class ReadLogs(Model):
    """Oldest first. `after` is the cursor of an earlier answer; `wait_seconds` waits for a record after it.

    `before` leaves out the record at this position (attempt.sequence) and what follows it.
    """

    execution_id: str
    attempt: int | None = None  # only of this one
    level: Level | None = None  # this level and above
    search: str | None = None  # case-insensitive substring of the message
    limit: int = 100
    after: str | None = None
    before: str | None = None
    tail: bool = False  # the newest `limit` records instead of the oldest
    wait_seconds: float = 0


class StoredLogRecord(LogRecord):
    """A log record with the attempt it belongs to."""

    attempt: int

    @property
    def position(self) -> str:
        """Its place in the log, as cursors give it."""
        return f"{self.attempt}.{self.sequence}"


class FollowLogs(Model):
    """The stored records after `after`, oldest first, then those that come, until the execution is over."""

    execution_id: str
    attempt: int | None = None
    level: Level | None = None
    search: str | None = None
    after: str | None = None


class LogBatch(Model):
    """Some of them; `cursor` continues after the last one, in another stream or page."""

    records: list[StoredLogRecord]
    cursor: str


class LogPage(Model):
    """Part of an execution's log.

    Attributes:
        counts: Records by level, over the whole execution.
        next_cursor: Continues after the last record given; None only where there is none at all.
        more: Whether more records match now.
    """

    records: list[StoredLogRecord]
    counts: dict[str, int]
    next_cursor: str | None = None
    more: bool = False


class AppendSpans(Model):
    """Durable when answered; a span whose (execution_id, attempt, sequence) is known is ignored.

    `patient` as of `AppendLogs`.
    """

    execution_id: str
    attempt: int
    spans: list[Span]
    patient: bool = False


class ReadSpans(Model):
    """Every span of an execution, or of one attempt, by start time; at most `limit`."""

    execution_id: str
    attempt: int | None = None
    limit: int = 10_000


class StoredSpan(Span):
    """A span with the attempt it belongs to."""

    attempt: int


class SpanPage(Model):
    """The spans of an execution or attempt; `total` counts those that `limit` cut off too."""

    spans: list[StoredSpan]
    total: int
