"""What fronts and the command line ask of the task-runner about clients: admission and the audit log.

Their rows are in the table of `ratchet.messages`, like all others.
"""

from typing import Annotated

from pydantic import AfterValidator

from ratchet.models import AuditRecord, Model
from ratchet.policy.rate_limits import parse_limit


def _limit(text: str) -> str:
    parse_limit(text)
    return text


class Admit(Model):
    """Count a call of a client against the limit that it has for this tool."""

    client: str
    tool: str
    limit: Annotated[str, AfterValidator(_limit)]  # "10/minute"


class Admission(Model):
    """Whether the call may be made."""

    retry_after: float | None = None  # seconds; None: now


class AppendAudit(Model):
    """Durable when answered; a record that is known is ignored."""

    records: list[AuditRecord]


class ReadAudit(Model):
    """Newest first. `cursor` continues an earlier answer."""

    since_ns: int | None = None
    named: str | None = None  # only of this client
    refused: bool = False  # only refusals
    limit: int = 100
    cursor: str | None = None


class AuditPage(Model):
    """Part of the audit log; `next_cursor` is None on the last page."""

    records: list[AuditRecord]
    next_cursor: str | None = None
