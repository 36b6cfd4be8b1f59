"""What an inspection means, in sentences. Pure."""

from ratchet.bodies.inspection import Frame, Inspection, Stack

IDLE_SHARE = 0.02  # of one core: less is what being looked at costs
_COROUTINES_MAX = 5
_LIBRARIES = ("/site-packages/", "/dist-packages/", "/lib/python", "<frozen ")


def of_author(stack: Stack) -> Frame | None:
    """The innermost call of a stack that is the author's own code."""
    return next((one for one in stack.frames if not any(part in one.file for part in _LIBRARIES)), None)


def place(frame: Frame) -> str:
    """`fetch (report.py:12): rows = source.read()`."""
    shown = f"{frame.function} ({frame.file.rpartition('/')[2]}:{frame.line})"
    return f"{shown}: {frame.source}" if frame.source else shown


def sentences(found: Inspection) -> list[str]:
    """What stands out, the place first."""
    told = [*_where(found)]
    process = found.process
    if process is None:
        told.append("The process ended while it was looked at.")
    elif found.seen == "nothing":
        told.append(f"The process did not react: the kernel says that it is {process.state}.")
    else:
        told.append(_busyness(process.cpu_share, found.silent_seconds, found.running_seconds))
    if found.spans:
        inner = found.spans[-1]
        told.append(f"The innermost open span is {inner.name}, for {inner.seconds:.1f} s.")
    return told


def _where(found: Inspection) -> list[str]:
    if found.seen == "nothing":
        return []
    main = found.threads[0] if found.threads else Stack(name="", frames=[])
    here = of_author(main) or next(iter(main.frames), None)
    if found.seen == "native":
        at = f", called at {place(here)}" if here else ""
        return [f"It is inside a C function that keeps the interpreter's lock{at}."]
    waiting = [one for stack in found.coroutines if (one := of_author(stack)) is not None]
    if waiting and of_author(main) is None:  # the event loop has nothing to do
        return [f"A coroutine awaits at {place(one)}." for one in waiting[:_COROUTINES_MAX]]
    return [f"The main thread is at {place(here)}."] if here else []


def _busyness(share: float, silent: float | None, running: float) -> str:
    said = (
        f"nothing was heard of it in {running:.1f} s"
        if silent is None
        else f"it last said something {silent:.1f} s ago"
    )
    return f"It uses {share:.0%} of a core; {said}." if share >= IDLE_SHARE else f"It waits, using no CPU; {said}."
