"""The reference page of all keys, written by the model itself: `python -m ratchet.config.reference` prints it."""

import sys
from collections.abc import Iterator
from math import inf
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, cast, get_args, get_origin

from pydantic import BeforeValidator
from pydantic.fields import FieldInfo

from ratchet.config.enforcement import WITHOUT_EFFECT
from ratchet.config.keys import Key, every_key
from ratchet.config.secrets import Secret
from ratchet.config.units import BYTES_MAX, COUNT_MAX, SECONDS_MAX, parse_bytes, parse_seconds

_DEFAULTS: Final = {
    "data_dir": "a folder of the user's, one a project",
    "tasks.paths": "`[./tasks]`",
    "tasks.python": "the interpreter that Ratchet runs on",
    "mcp.server.security.max_execution_time": "`limits.timeout_seconds`",
    "mcp.server.performance.execution_queue_size": "`executions.queue_size`",
}
# Bounds of the types themselves, said once in the page's head.
_MOST: Final = {"bytes": BYTES_MAX, "seconds": SECONDS_MAX, "number": COUNT_MAX}
_DAY: Final = 86400
_HEAD: Final = """\
# Configuration

<!-- Written by `python -m ratchet.config.reference > docs/reference/configuration.md`; a test keeps it so. -->

The file is the one that `--config` names, else the one that `RATCHET_CONFIG` names, else `ratchet.yaml` in the working
directory. Without a file every default below applies. `config.example.yaml` shows every key in its place.

* **Paths** are relative to the file's folder, or to the working directory where there is no file. `~` works.
  `--data-dir` (relative to the working directory) goes before `data_dir`.
* **Seconds** are numbers, or text such as `250ms`, `30s`, `5m`, `1h`, `7d`. **Bytes** are numbers, or text such as
  `512 MiB`, `1 GiB`, `10 MB`. Where the table gives no bound, durations end at 30 days and numbers at a million.
* **`${NAME}`** in a value stands for the environment variable `NAME`, and `${NAME:-default}` for `default` where it is
  unset or empty. `$${` is a plain `${`. An unset variable without a default is an error. Inside `{…}` and `[…]` put it
  in quotes. **Secrets** are filled in only by the process that uses them, and are never shown.
* A key left empty has its default. Unknown keys, and keys given twice, are errors; an error names file, line and key.
* YAML is read without tags and merge keys, from at most 1 MiB of UTF-8.

The server refuses to start when anybody on the network could use it: an address other than loopback needs
`mcp.server.auth.type: api_key`. An API key has at least 16 characters.

| key | value | default | meaning |
|---|---|---|---|
"""


def reference() -> str:
    """The page, as Markdown."""
    rows = "".join(f"| {' | '.join(_row(key))} |\n" for key in every_key() if key.section is None)
    return f"{_HEAD}{rows}\n{_not_yet()}"


def _row(key: Key) -> tuple[str, str, str, str]:
    kind = _kind(key.field)
    default = _DEFAULTS.get(key.text) or _default(key.field, kind)
    return f"`{key.text}`", f"{kind}{_bounds(key.field, kind)}", default, key.field.description or ""


def _not_yet() -> str:
    idle = "\n".join(f"* `{row.key}`: {row.instead}" for row in WITHOUT_EFFECT)
    return f"""\
## Not in this version

A restriction that would not be enforced is refused at start-up, rather than promised. So far that is one:
`mcp.server.auth.type` cannot be `oauth2`. These load, and a warning says that they have no effect:

{idle}
"""


def _kind(field: FieldInfo) -> str:
    validators = {metadata.func for metadata in _metadata(field) if isinstance(metadata, BeforeValidator)}
    if parse_bytes in validators:
        return "bytes"
    return "seconds" if parse_seconds in validators else _named(field.annotation)


def _named(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in arguments)
    if origin in (Union, UnionType):
        return _named(next(argument for argument in arguments if argument is not NoneType))
    if origin is tuple:
        return f"list of {_named(arguments[0])}"
    if origin is dict:
        return f"names, each with {_named(arguments[1])}"
    if origin is not None:  # Annotated
        return _named(arguments[0])
    return {bool: "`true`, `false`", int: "number", str: "text", Path: "path", Secret: "secret"}[annotation]


def _bounds(field: FieldInfo, kind: str) -> str:
    found: dict[str, list[float]] = {"ge": [], "gt": [], "le": []}
    for metadata in _metadata(field):
        for name, values in found.items():
            if (bound := getattr(metadata, name, None)) is not None:
                values.append(bound)
    words: list[str] = []
    if found["gt"]:
        words.append(f"more than {_amount(max(found['gt']), kind)}")
    elif max(found["ge"], default=0) > 0:
        words.append(f"from {_amount(max(found['ge']), kind)}")
    most = min(found["le"], default=inf)
    if most not in (inf, _MOST.get(kind)):
        words.append(f"to {_amount(most, kind)}")
    return f" ({' '.join(words)})" if words else ""


def _amount(number: float, kind: str) -> str:
    if kind == "bytes":
        for size, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
            if number >= size and number % size == 0:
                return f"{number // size:g} {unit}"
    if kind == "seconds" and number >= 2 * _DAY and number % _DAY == 0:
        return f"{number / _DAY:g}d"
    return str(int(number)) if number == int(number) else f"{number:g}"


def _metadata(field: FieldInfo) -> Iterator[Any]:
    for argument in get_args(field.annotation):
        yield from getattr(argument, "__metadata__", ())
    yield from field.metadata


def _default(field: FieldInfo, kind: str) -> str:
    value = field.default
    if field.is_required():
        return "required"
    if value is None or value in ((), {}):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{list(cast('tuple[object, ...]', value))}`"
    return f"`{_amount(value, kind)}`" if isinstance(value, (int, float)) else f"`{value}`"


if __name__ == "__main__":
    sys.stdout.write(reference())
