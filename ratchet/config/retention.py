"""How long what Ratchet stores is kept: by age, number and size. The oldest goes first."""

from pydantic import Field

from ratchet.config.section import Section
from ratchet.config.units import Age, Bytes, Count, Seconds

_DAY = 86400.0
_GIB = 2**30


class ExecutionsRetention(Section):
    """Finished executions, each with its attempts, log and spans, and with all that it called."""

    age_seconds: Age = Field(
        default=30 * _DAY, description="executions that ended longer ago are pruned, logs and spans too; 0: never"
    )
    count_max: Count = Field(default=1_000_000, description="finished executions that are kept; 0: any number")
    bytes_max: Bytes = Field(
        default=4 * _GIB, ge=2**20, description="size of `executions.db`, above which the oldest are pruned"
    )


class LogsRetention(Section):
    """Logs of executions that are kept: their answers say that the log was pruned."""

    age_seconds: Age = Field(
        default=0.0, description="logs of executions that ended longer ago are pruned; 0: they stay as long as those"
    )
    bytes_max: Bytes = Field(
        default=4 * _GIB, ge=2**20, description="size of `logs.db`, above which the oldest logs are pruned"
    )


class SpansRetention(Section):
    """Spans of executions that are kept, likewise."""

    age_seconds: Age = Field(
        default=0.0, description="spans of executions that ended longer ago are pruned; 0: they stay as long as those"
    )
    bytes_max: Bytes = Field(
        default=4 * _GIB, ge=2**20, description="size of `spans.db`, above which the oldest spans are pruned"
    )


class AuditRetention(Section):
    """The audit log, whatever becomes of the executions in it."""

    age_seconds: Age = Field(default=90 * _DAY, description="older audit records are pruned; 0: never")
    count_max: Count = Field(default=1_000_000, description="audit records that are kept; 0: any number")


class RetentionConfig(Section):
    """What is kept, and how often that is looked at."""

    executions: ExecutionsRetention = ExecutionsRetention()
    logs: LogsRetention = LogsRetention()
    spans: SpansRetention = SpansRetention()
    audit: AuditRetention = AuditRetention()
    interval_seconds: Seconds = Field(
        default=60.0, ge=0.1, le=86400, description="how often it is looked whether anything is to be pruned"
    )
