"""How executions look: the list, and one of them with its cause first."""

from collections.abc import Sequence

from ratchet.cli.failure_view import failure_blocks
from ratchet.cli.quantities import duration, moment
from ratchet.cli.render import Block, Column, Json, Line, Piece, Table, heading, line, one_line
from ratchet.models import Attempt, Execution, Status

STATUS_STYLES = {
    Status.QUEUED: "dim",
    Status.RUNNING: "cyan",
    Status.INPUT_REQUIRED: "magenta",
    Status.COMPLETED: "green",
    Status.FAILED: "bold red",
    Status.CANCELLED: "yellow",
}
_VERSION_CHARACTERS = 12
_COLUMNS = (
    Column("ID"),
    Column("TASK"),
    Column("STATUS"),
    Column("CREATED"),
    Column("DURATION", right=True),
    Column("DETAIL", flexible=True, cut=True),
)


def execution_list(executions: Sequence[Execution], *, now_ns: int) -> list[Block]:
    """One row an execution."""
    if not executions:
        return [line(Piece("no executions", "dim"))]
    return [Table(_COLUMNS, tuple(_row(one, now_ns) for one in executions))]


def _row(execution: Execution, now_ns: int) -> tuple[Piece, ...]:
    return (
        Piece(execution.execution_id),
        Piece(execution.task_id, "bold"),
        Piece(execution.status, STATUS_STYLES[execution.status]),
        Piece(moment(execution.created_ns, now_ns=now_ns)),
        Piece(duration(elapsed_ms(execution, now_ns))),
        Piece(_detail(execution), "dim"),
    )


def elapsed_ms(execution: Execution, now_ns: int) -> float | None:
    """From the first start to the end, or to now."""
    if execution.started_ns is None:
        return None
    return ((execution.ended_ns or now_ns) - execution.started_ns) / 1e6


def _detail(execution: Execution) -> str:
    if execution.failure is not None:
        return one_line(f"{execution.failure.type}: {execution.failure.message}", 100)
    if execution.status.terminal:
        return ""
    if execution.progress is not None and execution.status is not Status.QUEUED:
        return progress_text(execution.progress.current, execution.progress.total, execution.progress.message)
    return one_line(execution.waiting_for or "", 100)


def progress_text(current: float, total: float | None, message: str | None) -> str:
    """`3/10 30% reading rows`."""
    share = f"{current:g}/{total:g} {100 * current / total:.0f}%" if total else f"{current:g}"
    return f"{share} {one_line(message)}" if message else share


def execution_details(
    execution: Execution, *, now_ns: int, reruns: Sequence[Execution] = (), called: Sequence[Execution] = ()
) -> list[Block]:
    """One execution: its status, then the cause, then everything else, what it called, and as what it ran again."""
    blocks: list[Block] = [_headline(execution, now_ns)]
    if execution.failure is not None:
        blocks += [line(), *failure_blocks(execution.failure)]
    blocks += [line(), *_facts(execution, now_ns)]
    if reruns:
        again = ", ".join(f"{one.execution_id} ({one.status})" for one in reruns)
        blocks.append(line(Piece(f"{'run again':<12}", "dim"), again))
    blocks += [_called(one) for one in called]
    if execution.attempts:
        blocks += [line(), heading("attempts"), *(_attempt(one, execution, now_ns) for one in execution.attempts)]
    blocks += [line(), heading("input"), Json(execution.input)]
    if execution.status is Status.COMPLETED:
        blocks += [line(), heading("output"), Json(execution.output)]
    return [*blocks, line(), next_steps(execution)]


def _called(execution: Execution) -> Line:
    status = Piece(execution.status, STATUS_STYLES[execution.status])
    return line(Piece(f"{'called':<12}", "dim"), f"{execution.task_id}  {execution.execution_id}  ", status)


def next_steps(execution: Execution) -> Line:
    """The commands that say more."""
    verbs = ["logs", "trace"] if execution.status.terminal else ["show", "logs", "cancel"]
    return line(Piece("  ".join(f"ratchet {verb} {execution.execution_id}" for verb in verbs), "dim"))


def outcome(execution: Execution) -> Line:
    """How a run ended, in one line: `completed in 1.20 s`."""
    took = "" if execution.duration_ms is None else f" after {duration(execution.duration_ms)}"
    return line(Piece(execution.status.replace("_", " "), STATUS_STYLES[execution.status]), took)


def _headline(execution: Execution, now_ns: int) -> Line:
    parts = [
        Piece(execution.task_id, "bold"),
        Piece("  "),
        Piece(execution.execution_id),
        Piece("  "),
        Piece(execution.status, STATUS_STYLES[execution.status]),
    ]
    took = elapsed_ms(execution, now_ns)
    if took is not None:
        parts.append(Piece(f"  {duration(took)}"))
    return Line(tuple(parts))


def _facts(execution: Execution, now_ns: int) -> list[Block]:
    facts = [
        ("version", execution.version[:_VERSION_CHARACTERS]),
        ("source", _source(execution)),
        ("called by", _caller(execution)),
        ("created", moment(execution.created_ns, now_ns=now_ns)),
        ("started", moment(execution.started_ns, now_ns=now_ns) if execution.started_ns else ""),
        ("ended", moment(execution.ended_ns, now_ns=now_ns) if execution.ended_ns else ""),
        ("progress", _progress(execution)),
        ("deadline", moment(execution.deadline_ns, now_ns=now_ns) if execution.deadline_ns else ""),
        ("waiting for", execution.waiting_for or ""),
        ("asks", one_line(execution.asks[0].text, 100) if execution.asks else ""),
        ("cancel", execution.cancel_requested or ("requested" if execution.cancel_requested == "" else "")),
        ("priority", str(execution.priority or "")),
        ("idempotency", execution.idempotency_key or ""),
        ("metadata", ", ".join(f"{key}={value}" for key, value in execution.metadata.items())),
    ]
    return [line(Piece(f"{name:<12}", "dim"), text) for name, text in facts if text]


def _source(execution: Execution) -> str:
    source = execution.source
    name = (source.client_info or {}).get("name")
    return f"{source.kind} ({source.client}{', ' + str(name) if name else ''})"


def _caller(execution: Execution) -> str:
    lineage = execution.lineage
    if lineage is None:
        return ""
    return lineage.parent_id + (f", {lineage.depth} below {lineage.root_id}" if lineage.depth > 1 else "")


def _progress(execution: Execution) -> str:
    told = execution.progress
    return "" if told is None else progress_text(told.current, told.total, told.message)


def _attempt(attempt: Attempt, execution: Execution, now_ns: int) -> Line:
    ended = attempt.ended_ns or now_ns
    parts = [f"  {attempt.number}  ", f"{duration((ended - attempt.started_ns) / 1e6):>10}  "]
    parts.append(f"{attempt.worker or 'no worker'}" + (f" pid {attempt.pid}" if attempt.pid else ""))
    if attempt.version not in (None, execution.version):
        parts.append(f"  version {attempt.version[:_VERSION_CHARACTERS]}")
    if attempt.failure is not None:
        # The last one's message stands at the top already.
        told = execution.failure is not None and attempt.failure.message == execution.failure.message
        parts.append(f"  {attempt.failure.category}" + ("" if told else f": {one_line(attempt.failure.message, 100)}"))
    if attempt.stopped_by is not None:
        parts.append(f"  stopped by {attempt.stopped_by}")
    if attempt.telemetry == "incomplete":
        parts.append("  logs and trace are incomplete")
    if attempt.late_end is not None:
        parts.append(f"  its end came too late and was refused: {one_line(attempt.late_end, 100)}")
    return line(*parts)
