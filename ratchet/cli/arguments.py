"""Turns what stands on a command line into values; what it cannot use, it says so as a usage error."""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn, cast

import typer

from ratchet.cli.quantities import parse_duration, parse_since
from ratchet.models import JsonObject

_SHOWN_CHARACTERS_MAX = 60


def task_input(text: str) -> JsonObject:
    """The input object of `--input`: JSON itself, `@FILE`, or `-` for standard input.

    Raises:
        typer.BadParameter: The file cannot be read, the text is not JSON, or not an object.
    """
    origin, content = _content(text)
    try:
        value: object = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        hint = "" if origin != "--input" else "; quote it for the shell, or use @FILE"
        raise typer.BadParameter(f"{origin} is not JSON: {error}{hint}", param_hint="--input") from None
    if not isinstance(value, dict):
        shown = json.dumps(value)[:_SHOWN_CHARACTERS_MAX]
        raise typer.BadParameter(
            f'a task\'s input is a JSON object such as {{"path": "a.csv"}}; {origin} is {shown}', param_hint="--input"
        )
    return cast("JsonObject", value)


def metadata(entries: Sequence[str]) -> JsonObject:
    """The metadata of repeated `KEY=VALUE`; values are strings.

    Raises:
        typer.BadParameter: An entry has another form, or a key occurs twice.
    """
    found: JsonObject = {}
    for entry in entries:
        key, equals, value = entry.partition("=")
        if not equals or not key:
            raise typer.BadParameter(f"expected KEY=VALUE, given {entry!r}", param_hint="--metadata")
        if key in found:
            raise typer.BadParameter(f"{key!r} is given twice", param_hint="--metadata")
        found[key] = value
    return found


def since(text: str | None) -> int | None:
    """Nanoseconds since the epoch of `--since`.

    Raises:
        typer.BadParameter: It is neither a duration nor an ISO date or time.
    """
    if text is None:
        return None
    found = parse_since(text, now=datetime.now(UTC))
    if found is None:
        raise typer.BadParameter(
            f"{text!r} is neither a duration (30m, 1h, 2d) nor a date or time (2026-05-01, 2026-05-01T14:30)",
            param_hint="--since",
        )
    return found


def seconds(text: str, *, option: str) -> float:
    """Seconds of a duration option.

    Raises:
        typer.BadParameter: It is no duration.
    """
    found = parse_duration(text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no duration: give seconds, or 30s, 5m, 1h30m", param_hint=option)
    return found


def _content(text: str) -> tuple[str, str | bytes]:
    if text == "-":
        return "standard input", sys.stdin.buffer.read()
    if not text.startswith("@"):
        return "--input", text
    path = Path(text[1:]).expanduser()
    try:
        return str(path), path.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be read: {error.strerror}", param_hint="--input") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
