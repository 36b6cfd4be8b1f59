"""What runs while everything around it is killed, stopped and filled up. Every execution leaves its marks in a file."""

import os
import subprocess
import time

from ratchet import Context, task
from ratchet.errors import RatchetError

# A line is one write, and on disk before the task goes on: a kill of whatever process cannot undo or split it.
_MARKS = os.environ["CHAOS_MARKS"]


def _mark(ctx: Context, what: str) -> None:
    marks = os.open(_MARKS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(marks, f"{ctx.execution_id} {ctx.attempt} {what}\n".encode())
        os.fsync(marks)
    finally:
        os.close(marks)


@task
def quick(ctx: Context, number: int) -> int:
    """The effect, and nothing else."""
    _mark(ctx, "effect")
    return number


@task(idempotent=True)
def again(ctx: Context, number: int) -> int:
    """May run more than once."""
    _mark(ctx, "effect")
    time.sleep(0.1)
    return number


@task
def slow(ctx: Context, number: int, seconds: float = 0.4) -> int:
    """There for whatever strikes."""
    _mark(ctx, "effect")
    time.sleep(seconds)
    return number


@task
def logging(ctx: Context, number: int, lines: int = 60) -> int:
    """Numbered lines, in two ways; a mark says when all of them were said."""
    _mark(ctx, "effect")
    for line in range(lines):
        ctx.log("line", number=line)
    _mark(ctx, f"said {lines}")
    time.sleep(0.1)
    return number


@task
def tracing(ctx: Context, number: int, spans: int = 20) -> int:
    """Numbered spans; a mark says when all of them had ended."""
    _mark(ctx, "effect")
    for span in range(spans):
        with ctx.span("numbered", number=span):
            pass
    _mark(ctx, f"traced {spans}")
    time.sleep(0.1)
    return number


@task
def failing(ctx: Context, number: int) -> None:
    """Fails by itself, after it has logged."""
    _mark(ctx, "effect")
    for line in range(5):
        ctx.log("line", number=line)
    _mark(ctx, "said 5")
    raise RuntimeError(f"as asked: {number}")


@task
def starting(ctx: Context, number: int) -> int:
    """Starts processes: one that it waits for, and one that outlives it where it is killed."""
    _mark(ctx, "effect")
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as left:
        subprocess.run(["sleep", "0.1"], check=True)
        left.kill()
    return number


@task
def family(ctx: Context, number: int, children: int = 2) -> int:
    """Runs others, one after the other."""
    _mark(ctx, "effect")
    return sum(ctx.run(quick, {"number": number + one}) for one in range(children))


@task
def asking(ctx: Context, number: int) -> str:
    """Asks an LLM; where the gateway is struck, it is told so and asks again."""
    _mark(ctx, "effect")
    for _ in range(400):
        try:
            return ctx.llm.complete(f"number {number}").text
        except RatchetError as error:
            if not error.retryable:
                raise
            time.sleep(0.1)
    raise RuntimeError("the gateway never came back")


@task(timeout=0.5)
def overrunning(ctx: Context, number: int) -> int:
    """Takes longer than it may."""
    _mark(ctx, "effect")
    time.sleep(60)
    return number
