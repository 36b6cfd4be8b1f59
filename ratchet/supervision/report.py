"""What a person reads when the supervisor is up. Pure: a status in, text out."""

from ratchet.supervision.status import ChildStatus, SupervisorStatus

_INDENT = " " * 12


def startup_report(status: SupervisorStatus) -> str:
    """Several lines that say where everything is, ending in a newline."""
    lines = [f"Ratchet {status.version} is up (pid {status.pid})"]
    config = status.config_path or "no ratchet.yaml: defaults apply"
    lines += _row("project", [f"{status.project} ({config})"])
    lines += _row("data", [status.data_dir])
    if status.head is not None:
        lines += _row("head", [status.head])
    else:
        lines += _row("mcp", status.addresses or ["no port is open; agents connect with `ratchet stdio`"])
    lines += _row("cluster", _cluster(status))
    lines += _row("actors", [_child(child) for child in status.children])
    lines += _row("tasks", _tasks(status))
    lines += _row("warning", list(status.warnings))
    lines += _row("damaged", [f"{path} was set aside; an empty store took its place" for path in status.set_aside])
    return "\n".join(lines) + "\n"


def _row(name: str, values: list[str]) -> list[str]:
    return [(f"  {name:<10}" if number == 0 else _INDENT) + value for number, value in enumerate(values)]


def _child(child: ChildStatus) -> str:
    text = f"{child.name:<14} {child.state}"
    if child.pid is not None:
        text += f"  pid {child.pid}"
    if child.ready_seconds is not None:
        text += f"  ready in {child.ready_seconds:.2f} s"
    if child.error:
        text += f"  ({child.error})"
    return text


def _cluster(status: SupervisorStatus) -> list[str]:
    """Where nodes connect, if any may."""
    return [f"nodes connect to {child.info['cluster']}" for child in status.children if "cluster" in child.info]


def _tasks(status: SupervisorStatus) -> list[str]:
    """What the task-runner said of the task folders, if it said anything."""
    for child in status.children:
        if "tasks" in child.info:
            count, broken = int(child.info["tasks"]), int(child.info.get("broken") or 0)
            text = f"{count} task{'' if count == 1 else 's'}"
            if broken:
                text += f", {broken} file{'' if broken == 1 else 's'} that cannot be loaded (`ratchet tasks` says why)"
            return [text]
    return []
