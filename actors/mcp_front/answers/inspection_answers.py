"""What a running execution is doing, as an answer: the place first, then every stack as far as there is room. Pure."""

from actors.mcp_front.answers.answer import LIST_CHARACTERS_MAX, Answer, compact, fitting, paragraphs
from actors.mcp_front.wording import Wording
from ratchet.bodies.inspection import Inspection, Stack
from ratchet.inspection import place, sentences
from ratchet.models import JsonObject

_STACKS_CHARACTERS_MAX = LIST_CHARACTERS_MAX - 2_000  # the rest: spans, process, sentences
_FRAMES_SHOWN = 20
_SPANS_SHOWN = 10


def inspection(found: Inspection, wording: Wording) -> Answer:
    """The answer of `inspect_execution`."""
    told = sentences(found)
    stacks = [("thread", one) for one in found.threads] + [("coroutine", one) for one in found.coroutines]
    entries = [_entry(kind, one) for kind, one in stacks]
    shown = fitting(entries, (len(compact(one)) for one in entries), _STACKS_CHARACTERS_MAX)
    follow = wording.names.call("get_execution_status", execution_id=found.execution_id, wait_seconds=30)
    structured: JsonObject = {
        "execution_id": found.execution_id,
        "attempt": found.attempt,
        "worker": found.worker,
        "seen": found.seen,
        "running_seconds": round(found.running_seconds, 3),
        "silent_seconds": None if found.silent_seconds is None else round(found.silent_seconds, 3),
        "stacks": shown,
        "stacks_total": len(stacks),
        "open_spans": [one.model_dump() for one in found.spans[-_SPANS_SHOWN:]],
        "process": None if found.process is None else found.process.model_dump(),
        "insights": told,
        "next": f"It goes on. {follow} follows it; look again to see whether it moves.",
    }
    head = f"{found.execution_id} runs in {found.worker} for {found.running_seconds:.1f} s"
    lines = [line for kind, one in stacks[: len(shown)] for line in _lines(kind, one)]
    return Answer(structured, paragraphs([head, *told, *lines, structured["next"]]))


def _entry(kind: str, stack: Stack) -> JsonObject:
    frames = [one.model_dump() for one in stack.frames[:_FRAMES_SHOWN]]
    return {"kind": kind, "name": stack.name, "frames": frames, "frames_total": len(stack.frames)}


def _lines(kind: str, stack: Stack) -> list[str]:
    left = len(stack.frames) - _FRAMES_SHOWN
    rest = [f"  … {left} more calls"] if left > 0 else []
    return [
        f"{kind} {stack.name}, innermost call first:",
        *(f"  {place(one)}" for one in stack.frames[:_FRAMES_SHOWN]),
        *rest,
    ]
