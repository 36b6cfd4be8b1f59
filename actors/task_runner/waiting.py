"""Why an execution waits, in words."""

from pathlib import Path

from actors.task_runner.node_code import NodeCode, short
from actors.task_runner.workers import Workers


def why_it_waits(version: str, path: str | None, ahead: int, workers: Workers, code: NodeCode) -> str:
    """What has to happen before the execution can run.

    Args:
        version: The task version it would run in.
        path: The task's file; None where there is none by now.
        ahead: How many executions come before it.
        workers: Who could take it.
        code: What the nodes among them have.
    """
    reasons = code.why_not(version)
    if not workers.slots:
        return "no worker is connected" + (f": {reasons}" if reasons else "")
    slots = workers.slots_for(version)
    if slots:
        which = "" if slots == workers.slots else " that have its version"
        return f"all {slots} slots{which} are busy; {ahead} executions are ahead of this one"
    file = Path(path).name if path is not None else "its task file"
    return f"no worker has version {short(version)} of {file}: {reasons}"
