"""What is said about pruning: what shall go, what a store holds, and what went."""

from pydantic import Field

from ratchet.models import Model


class ListStored(Model):
    """The executions of which a store holds rows, by id after `after`; ids grow with time."""

    after: str = ""
    limit: int = 200


class StoredExecution(Model):
    """An execution in a store that does not know what has become of it; `last_ns` is when its newest row was made."""

    execution_id: str
    last_ns: int


class Usage(Model):
    """A store's file.

    Attributes:
        used_bytes: Pages that hold something.
        free_bytes: Pages that hold nothing, still in the file.
        file_bytes: What the file and its log of writes take on the disk.
    """

    used_bytes: int
    free_bytes: int
    file_bytes: int


class StoredExecutions(Model):
    """Some of the executions in a store, and its size."""

    executions: list[StoredExecution]
    usage: Usage


class PruneRows(Model):
    """Remove every row of these executions, a few at a time.

    Attributes:
        dry_run: Only count them.
        compact: Then give free pages back to the file system.
    """

    execution_ids: list[str] = Field(default_factory=list[str])
    dry_run: bool = False
    compact: bool = False


class PrunedRows(Model):
    """How many rows went, and what the store's file is like now."""

    rows: int
    usage: Usage


class Prune(Model):
    """Apply the configuration's retention now; or, where one of the first two is given, that instead.

    Attributes:
        older_than_seconds: Only executions that ended longer ago.
        keep: Never the newest so many finished executions.
        dry_run: Only count.
        seconds: Stop after so long; the report says whether more is left.
    """

    older_than_seconds: float | None = Field(default=None, ge=0)
    keep: int | None = Field(default=None, ge=0)
    dry_run: bool = False
    seconds: float = Field(default=5.0, ge=0)


class Pruned(Model):
    """What went, or would go.

    Attributes:
        executions: How many, with their attempts.
        logs: Log records.
        spans: Spans.
        audit: Audit records.
        bytes: What the files take on the disk now.
        more: It was not all: ask again.
    """

    executions: int = 0
    logs: int = 0
    spans: int = 0
    audit: int = 0
    bytes: int = 0
    more: bool = False
