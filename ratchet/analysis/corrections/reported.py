"""What pydantic reported about a value, by the task's own types or by a model within the task, traced to the input.

A report names a place and says what is wrong there. One from within the task names it relative to whatever was
validated, so the place is searched for in the input; where it is not found for certain nothing is said.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from ratchet.analysis.corrections.hints import read_hint
from ratchet.analysis.corrections.patch import Fix, Steps, move, remove
from ratchet.analysis.corrections.places import as_text, objects, places, shown
from ratchet.analysis.corrections.schema_repair import as_json, joined, replacing
from ratchet.analysis.corrections.values import Replacement, clamp, coerce, nearest
from ratchet.analysis.result import Confidence
from ratchet.models import ExceptionInfo, Failure, JsonObject
from ratchet.output import format_path

_HEADER = re.compile(r"(\d{1,4}) validation errors? for [^\n]*\n")
_ENTRY = re.compile(
    r"^(?:(?P<path>\S[^\n]*)\n)?  (?P<message>[^\n]*?) \[type=(?P<type>[\w.]+), input_value=(?P<given>[^\n]*),"
    r" input_type=[\w.]+\]$",
    re.MULTILINE,
)
_MISSING = re.compile(r"^(?:Field required|required, and missing|Missing required)")
_EXTRA = re.compile(r"^(?:Extra inputs are not permitted|unknown parameter|Unexpected keyword)")
_TYPE = re.compile(r"^Input should be an? (?:valid )?(integer|number|string|boolean|list|array|dictionary|object|date)")
_TYPES = {"list": "array", "dictionary": "object"}


@dataclass(frozen=True, slots=True)
class Report:
    """One thing that is wrong.

    Attributes:
        path: As pydantic or Ratchet writes it: `rows.0.name` or `rows[0].name`; "" for the whole.
        message: What is wrong.
        shown: The value as `repr` shows it, possibly shortened with "...".
    """

    path: str
    message: str
    shown: str | None = None

    def is_about(self, value: Any) -> bool:
        """Whether this may be the value that was refused."""
        if self.shown is None:
            return True
        head, dots, tail = self.shown.partition("...")
        full = repr(value)
        return full.startswith(head) and full.endswith(tail) if dots else full == self.shown


@dataclass(frozen=True, slots=True)
class Place:
    """A report's place in the input: of the value, or of the object that lacks one of this name."""

    report: Report
    steps: Steps
    value: Any = None


def reports_of(failure: Failure, path: Sequence[ExceptionInfo]) -> list[Report]:
    """What was reported: the problems in the failure's details, else what a ValidationError on the path says."""
    problems = failure.details.get("problems")
    if failure.category.value == "invalid_input" and isinstance(problems, list):
        return [_from_details(cast("JsonObject", one)) for one in cast("list[Any]", problems) if isinstance(one, dict)]
    for error in reversed(path):
        if found := _from_message(error.message):
            return found
    return []


def locate(reports: Sequence[Report], given: JsonObject) -> list[Place]:
    """The places of those reports whose place is certain."""
    return [found for report in reports if (found := _place(report, given)) is not None]


def missing(located: Sequence[Place]) -> list[Place]:
    """Those of required values that are not there."""
    return [one for one in located if _MISSING.match(one.report.message)]


def fix_reports(reports: Sequence[Report], given: JsonObject) -> Fix | None:
    """One patch for everything that was reported; None where something of it cannot be mended for certain."""
    located = locate(reports, given)
    if len(located) < len(reports):
        return None
    lacking = missing(located)
    fixes: list[Fix | None] = [_fill(one, given) for one in lacking]
    moved = {operation.get("from") for fix in fixes if fix for operation in fix.patch}
    for one in located:
        if one in lacking:
            continue
        fix = _fix(one, [absent.steps for absent in lacking])
        if fix is None or not any(operation.get("from", operation["path"]) in moved for operation in fix.patch):
            fixes.append(fix)
    return None if None in fixes else joined([fix for fix in fixes if fix is not None])


def _from_details(problem: JsonObject) -> Report:
    return Report(str(problem.get("path") or ""), str(problem.get("message") or ""))


def _from_message(message: str) -> list[Report]:
    header = _HEADER.match(message)
    if header is None:
        return []
    entries = [*_ENTRY.finditer(message, header.end())]
    if len(entries) != int(header[1]):  # cut, or in a form of its own: a part would mislead
        return []
    return [Report(one["path"] or "", one["message"], shown=one["given"]) for one in entries]


def _place(report: Report, given: JsonObject) -> Place | None:
    if _MISSING.match(report.message):
        parent, _, name = report.path.rpartition(".")
        holders = [steps for steps, one in objects(given) if name not in one and _ends(steps, parent)]
        if report.shown is not None:
            holders = [steps for steps, one in objects(given) if steps in holders and report.is_about(one)]
        return Place(report, (*holders[0], name)) if name and len(holders) == 1 else None
    found = [(steps, one) for steps, one in places(given) if steps and _ends(steps, report.path)]
    if report.shown is not None:
        found = [(steps, one) for steps, one in found if report.is_about(one)]
    exact = [(steps, one) for steps, one in found if _written(steps, report.path)]
    if exact or len(found) == 1:
        return Place(report, *(exact or found)[0])
    return None


def _written(steps: Steps, path: str) -> bool:
    return path in (format_path(steps), ".".join(map(str, steps)))


def _ends(steps: Steps, path: str) -> bool:
    """Whether the way to a place ends with this path; every way ends with the empty one."""
    return path == "" or any(_written(steps[start:], path) for start in range(len(steps)))


def _fill(place: Place, given: JsonObject) -> Fix | None:
    holder, name = place.steps[:-1], str(place.steps[-1])
    misspelt = nearest(name, [key for steps, one in objects(given) if steps == holder for key in one])
    if misspelt is None or misspelt.confidence == "low":
        return None
    text = f"`{shown(place.steps)}` is required and missing; `{misspelt.value}` seems to be it."
    return Fix([move((*holder, misspelt.value), place.steps)], misspelt.confidence, text)


def _fix(place: Place, lacking: Sequence[Steps]) -> Fix | None:
    message, value, steps = place.report.message, place.value, place.steps
    if _EXTRA.match(message):
        return _rename(place, lacking)
    if (kind := _TYPE.match(message)) and (coerced := coerce(value, [_TYPES.get(kind[1], kind[1])])):
        return replacing(steps, value, coerced, f"must be of type {kind[1]}")
    hint = read_hint(message)
    text = as_text(value)
    if text is not None and isinstance(value, str) and (new := nearest(text, [*hint.meant, *hint.allowed])):
        return replacing(steps, value, new, "must be one of those listed")
    clamped = clamp(value, hint.bounds)
    if clamped is not None:
        return replacing(steps, value, Replacement(clamped, "medium"), "is out of bounds")
    return None


def _rename(place: Place, lacking: Sequence[Steps]) -> Fix | None:
    holder, name = place.steps[:-1], str(place.steps[-1])
    wanted = [str(steps[-1]) for steps in lacking if steps[:-1] == holder]
    meant = nearest(name, [*wanted, *read_hint(place.report.message).allowed])
    if meant is not None:
        text = f"`{shown(place.steps)}` is not known; `{meant.value}` is."
        return Fix([move(place.steps, (*holder, meant.value))], meant.confidence, text)
    confidence: Confidence = "low"
    text = f"`{shown(place.steps)}` ({as_json(place.value)}) is not known, and like no known name."
    return Fix([remove(place.steps)], confidence, text)
