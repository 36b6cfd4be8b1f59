"""How the audit log looks: one row a call, what was refused in red."""

from collections.abc import Sequence

from ratchet.cli.quantities import duration, moment
from ratchet.cli.render import Block, Column, Piece, Table, line
from ratchet.models import AuditRecord

_COLUMNS = (
    Column("TIME"),
    Column("CLIENT", flexible=True),
    Column("VIA"),
    Column("CALL", flexible=True),
    Column("ABOUT", flexible=True),
    Column("DECISION"),
    Column("DURATION", right=True),
)
_NOBODY = "(nobody)"


def audit_table(records: Sequence[AuditRecord], *, now_ns: int) -> list[Block]:
    """The records as given."""
    if not records:
        return [line(Piece("no records", "dim"))]
    return [Table(_COLUMNS, tuple(_row(one, now_ns) for one in records))]


def _row(record: AuditRecord, now_ns: int) -> tuple[Piece, ...]:
    refused = record.decision == "refused"
    outcome = record.decision if record.code is None else f"{record.decision}: {record.code}"
    return (
        Piece(moment(record.at_ns, now_ns=now_ns)),
        Piece(_NOBODY if record.client is None else record.client, "bold"),
        Piece(record.transport, "dim"),
        Piece(record.tool),
        Piece(" ".join(filter(None, (record.task_id, record.execution_id))), "dim"),
        Piece(outcome, "bold red" if refused else "" if record.code is None else "yellow"),
        Piece("" if refused else duration(record.duration_ms)),
    )
