"""The suite's tools that are followed while they run: progress, logs, a changed list of tools."""

import time
from pathlib import Path

from ratchet import Context, task

# Ratchet sends ten steps of progress a second and leaves out those in between.
_PAUSE_SECONDS = 0.15
_TRIGGERED = Path(__file__).with_name("triggered.py")


@task(id="test_tool_with_progress")
def with_progress(ctx: Context) -> str:
    """Say how far it is, three times."""
    for percent in (0, 50, 100):
        ctx.progress(percent, 100)
        time.sleep(_PAUSE_SECONDS)
    return "done"


@task(id="test_tool_with_logging")
def with_logging(ctx: Context) -> str:
    """Log three lines."""
    for line in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        ctx.log.info(line)
        time.sleep(0.05)
    return "done"


@task(id="test_logging_tool")
def logging_tool(ctx: Context) -> str:
    """Log a line that nobody is to be sent who does not ask for it."""
    ctx.log.info("not asked for")
    return "done"


@task(id="test_trigger_tool_change")
def trigger_tool_change() -> str:
    """Put another task file beside this one: the list of tools is a different one."""
    number = time.time_ns()
    _TRIGGERED.write_text(
        f"from ratchet import task\n\n\n@task\ndef triggered_{number}() -> int:\n    return {number}\n"
    )
    return "changed"
