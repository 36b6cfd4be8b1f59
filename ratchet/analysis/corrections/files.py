"""Corrections of paths: a file that is not there, while one of nearly the same name is said to be."""

import posixpath
import re
from collections.abc import Iterator, Sequence

from ratchet.analysis.classify import is_a
from ratchet.analysis.corrections.known_names import KnownNames
from ratchet.analysis.corrections.patch import Fix, replace
from ratchet.analysis.corrections.places import leaves, shown
from ratchet.analysis.corrections.schema_repair import as_json
from ratchet.analysis.corrections.values import nearest
from ratchet.analysis.result import Confidence
from ratchet.models import ExceptionInfo, JsonObject

_FILE = re.compile(
    r"(?:No such file or directory|\bno (?:such )?file|not found): ?['\"]?([^'\"\n]{1,500})", re.IGNORECASE
)


def missing_file(path: Sequence[ExceptionInfo]) -> str | None:
    """The path that was not there."""
    for error in reversed(path):
        if not is_a(error, "FileNotFoundError"):
            continue
        known = error.facts.get("filename")
        if isinstance(known, str):
            return known
        if match := _FILE.search(error.message):
            return match[1]
    return None


def found_elsewhere(path: Sequence[ExceptionInfo], names: KnownNames, given: JsonObject) -> Iterator[Fix]:
    """The path of the input that led to the missing file, with the name of a file that there is."""
    missing = missing_file(path)
    if missing is None:
        return
    for steps, value in leaves(given):
        if not isinstance(value, str) or not _leads_to(value, missing):
            continue
        new = _sibling(value, names.all)
        if new is not None:
            text = f"`{shown(steps)}` is {as_json(value)}, which is not there; {as_json(new[0])} is."
            yield Fix([replace(steps, new[0])], new[1], text)


def _leads_to(value: str, missing: str) -> bool:
    """Whether a path of the input is the missing one, or what a folder was put before to make it."""
    plain = value.removeprefix("./")
    return bool(plain) and (missing == value or missing.endswith("/" + plain.lstrip("/")))


def _sibling(value: str, names: Sequence[str]) -> tuple[str, Confidence] | None:
    folder, name = posixpath.split(value)
    by_name = {posixpath.basename(one): one for one in reversed(names)}
    near = nearest(name, [one for one in by_name if one])
    if near is None:
        return None
    known = by_name[near.value]
    found = posixpath.join(folder, known) if folder and "/" not in known else known
    # A path that is there in full is worth more than a name that may lie elsewhere.
    return found, near.confidence if "/" in known or not folder else "medium"
