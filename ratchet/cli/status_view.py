"""How a supervisor and its actors look."""

from ratchet.bodies.health import Health
from ratchet.cli.node_view import overview
from ratchet.cli.quantities import duration, size
from ratchet.cli.render import Block, Column, Line, Piece, Table, line, one_line
from ratchet.supervision.states import State
from ratchet.supervision.status import ChildStatus, SupervisorStatus

_STATE_STYLES = {
    State.RUNNING: "green",
    State.STARTING: "cyan",
    State.BACKOFF: "yellow",
    State.DRAINING: "yellow",
    State.REPLACING: "cyan",
    State.KILLING: "yellow",
    State.FAILED: "bold red",
    State.STOPPED: "dim",
}
_COLUMNS = (
    Column("ACTOR"),
    Column("STATE"),
    Column("PID", right=True),
    Column("UPTIME", right=True),
    Column("RESTARTS", right=True),
    Column("LAST EXIT", flexible=True),
)


def status_blocks(status: SupervisorStatus, health: Health | None) -> list[Block]:
    """The supervisor, its actors, and what the task-runner says of its work (None: it did not answer)."""
    state = "draining" if status.draining else "up on demand" if status.mode == "on-demand" else "up"
    blocks: list[Block] = [
        line(
            Piece(f"Ratchet {status.version} ", "bold"),
            Piece(state, "yellow" if status.draining else "green"),
            f"  pid {status.pid}  for {duration(status.uptime_seconds * 1000)}",
        ),
        _fact("project", status.config_path or f"{status.project} (no ratchet.yaml: defaults)"),
        _fact("data", status.data_dir),
    ]
    if status.head is not None:
        blocks.append(_fact("head", status.head))
    else:
        ways = ", ".join(status.addresses) or "no port is open; agents connect with `ratchet stdio`"
        blocks += [_fact("mcp", ways), _fact("clients", str(status.clients))]
    blocks += [_fact("warning", one) for one in status.warnings]
    blocks += [_fact("damaged", f"{one} was set aside; an empty store took its place") for one in status.set_aside]
    blocks += [] if status.head is not None else _work(health)
    return [*blocks, line(), Table(_COLUMNS, tuple(_row(child) for child in status.children))]


def _fact(name: str, text: str) -> Line:
    return line(Piece(f"{name:<11}", "dim"), text)


def _work(health: Health | None) -> list[Block]:
    if health is None:
        return [line(Piece("the task-runner does not answer at the moment", "yellow"))]
    counts = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in health.executions.items() if count)
    slots = f"{health.slots_busy or 0} of {health.slots or 0} slots busy"
    broken = f", {health.broken_files} broken files (`ratchet tasks`)" if health.broken_files else ""
    blocks: list[Block] = [
        _fact("executions", f"{counts or 'none yet'}; {slots}"),
        _fact("tasks", f"{health.tasks or 0}{broken}"),
    ]
    blocks += [_fact("cluster", overview(health.cluster))] if health.cluster is not None else []
    blocks += [_fact("store", f"{one.path}  {size(one.bytes)}, {one.rows} rows") for one in health.stores]
    return blocks


def _row(child: ChildStatus) -> tuple[Piece, ...]:
    uptime = None if child.uptime_seconds is None else child.uptime_seconds * 1000
    last = child.error or (child.last_exit.cause if child.last_exit else "")
    return (
        Piece(child.name, "bold"),
        Piece(child.state, _STATE_STYLES[child.state]),
        Piece(str(child.pid or "")),
        Piece(duration(uptime)),
        Piece(str(child.restarts), "yellow" if child.restarts else ""),
        Piece(one_line(last), "red" if child.error else "dim"),
    )
