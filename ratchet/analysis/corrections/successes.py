"""Inputs of earlier executions that completed: what this one had differently."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

from ratchet.analysis.corrections.patch import Fix, Patch, Steps, add, pointer, remove, replace
from ratchet.analysis.corrections.places import shown
from ratchet.analysis.corrections.schema_repair import as_json
from ratchet.analysis.result import Difference
from ratchet.models import Execution, JsonObject
from ratchet.redaction import REDACTED, Redactor
from ratchet.secretnames import is_secret_name

ABSENT: Any = object()
_DIFFERENCES_MAX = 3  # of an input that differs in more than this nothing can be learned
_SUCCESSES_MAX = 20
_DEPTH_MAX = 16
_REDACTOR = Redactor()

Changed = tuple[Steps, Any, Any]  # where, then, now; ABSENT where there was or is nothing


def changed_values(then: Any, now: Any) -> list[Changed]:
    """Where two inputs differ, in order; lists that differ are one difference."""
    return list(_changed(then, now, ()))


def difference(changed: Changed) -> Difference:
    """A changed value as it may be shown."""
    steps, then, now = changed
    if _secret(changed):
        then, now = _hidden(then), _hidden(now)
    return Difference(path=pointer(steps), then=_shown(then), now=_shown(now))


def as_before(given: JsonObject, completed: Sequence[Execution], wanted: Sequence[str]) -> Iterator[Fix]:
    """The values that the execution most like this one had, where only a few differ.

    Args:
        given: The failing input.
        completed: Executions of the same task, newest first.
        wanted: Keys that the failure says are missing: where a value for one of them differs, only that is taken.

    What another execution did is never more than a guess, because it may have been about something else.
    """
    compared = [(changed_values(one.input, given), one) for one in completed[:_SUCCESSES_MAX]]
    for changed, one in sorted(compared, key=lambda entry: len(entry[0])):
        if not 0 < len(changed) <= _DIFFERENCES_MAX or any(_secret(entry) for entry in changed):
            continue
        lacking = [(steps, then, now) for steps, then, now in changed if now is ABSENT and steps[-1] in wanted]
        chosen = lacking or changed
        what = "; ".join(_sentence(entry) for entry in chosen)
        yield Fix(_back(chosen), "low", f"{one.execution_id} completed with another input: {what}.")
        return


def _changed(then: Any, now: Any, steps: Steps) -> Iterator[Changed]:
    old, new = _object(then), _object(now)
    if old is not None and new is not None and len(steps) < _DEPTH_MAX:
        for key in dict.fromkeys((*new, *old)):
            yield from _changed(old.get(key, ABSENT), new.get(key, ABSENT), (*steps, key))
    elif _differ(then, now):
        yield steps, then, now


def _object(value: object) -> JsonObject | None:
    return cast("JsonObject", value) if isinstance(value, dict) else None


def _differ(then: object, now: object) -> bool:
    """Whether two JSON values differ, where 1 and true do."""
    return then is ABSENT or now is ABSENT or type(then) is not type(now) or then != now


def _back(changed: Sequence[Changed]) -> Patch:
    patch: Patch = []
    for steps, then, now in changed:
        if then is ABSENT:
            patch.append(remove(steps))
        else:
            patch.append(add(steps, then) if now is ABSENT else replace(steps, then))
    return patch


def _sentence(changed: Changed) -> str:
    steps, then, now = changed
    if then is ABSENT:
        return f"without `{shown(steps)}`"
    return f"`{shown(steps)}` was {as_json(then)}" + ("" if now is ABSENT else f", not {as_json(now)}")


def _secret(changed: Changed) -> bool:
    """Whether the value, or anything in it, should not be shown."""
    steps, *values = changed
    if any(isinstance(step, str) and is_secret_name(step) for step in steps):
        return True
    return any(value is not ABSENT and _REDACTOR.value(value) != value for value in values)


def _hidden(value: Any) -> Any:
    return ABSENT if value is ABSENT else REDACTED


def _shown(value: Any) -> Any:
    """A value that is not too long to be shown; a long one as the beginning of its JSON."""
    if value is ABSENT:
        return None
    text = as_json(value)
    return text if text.endswith("…") else value
