"""A host's file with an entry more: everything else in it stays, and what is not understood is not touched."""

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from ratchet.cli.hosts import Document
from ratchet.errors import ProjectError

# What says how a server is reached; the rest of an entry (env, what its user allowed) is the user's own.
_TRANSPORT_KEYS = {"type", "command", "args", "url", "headers"}
_INDENT = re.compile(r"\n([ \t]+)\S")
_MODE_NEW = 0o644


def read(path: Path) -> tuple[str, Document]:
    """The file's text and what it says; empty where there is none.

    Raises:
        ProjectError: It cannot be read, or is not an object of JSON.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return "", {}
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(path, f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not text.strip():
        return text, {}
    try:
        document: object = json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        # Comments and trailing commas, which some hosts allow, would be lost.
        raise _unusable(path, f"is not plain JSON: line {error.lineno}, column {error.colno}: {error.msg}") from error
    except ValueError as error:
        raise _unusable(path, f"cannot be changed safely: {error}") from error
    except RecursionError as error:
        raise _unusable(path, "cannot be changed safely: it is nested too deeply") from error
    if not isinstance(document, dict):
        raise _unusable(path, f"holds {_kind(document)}, not an object")
    return text, cast("Document", document)


def _unique(pairs: list[tuple[str, Any]]) -> Document:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for index, (name, _) in enumerate(pairs) if name in dict(pairs[:index]))
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return found


def merged(path: Path, document: Document, wanted: Document, *, ours: str | None, replace: bool) -> Document:
    """The document with `wanted` in it; nothing else of it changes.

    Args:
        path: The file, for messages.
        document: What it says now.
        wanted: Objects whose entries it has to have, and lists whose items (by `id`) it has to have.
        ours: An argument by which an entry is known to start this project.
        replace: Whether an entry of the same name that is somebody else's may be replaced.

    Raises:
        ProjectError: A section is something else, or an entry of the same name belongs to something else.
    """
    result = dict(document)
    for section, added in wanted.items():
        there = document.get(section, type(added)())
        if not isinstance(there, type(added)):
            raise _unusable(path, f"has {_kind(there)} as {section!r}, where {_kind(added)} belongs")
        if isinstance(added, list):
            result[section] = _with_items(cast("list[Any]", there), cast("list[Document]", added))
            continue
        [(name, entry)] = cast("Document", added).items()
        entries = cast("Document", there)
        result[section] = {**entries, name: _entry(path, entries, name, entry, ours=ours, replace=replace)}
    return result


def _with_items(there: list[Any], added: Sequence[Document]) -> list[Any]:
    known = {cast("Document", one).get("id") for one in there if isinstance(one, dict)}
    return [*there, *(one for one in added if one["id"] not in known)]


def _entry(path: Path, entries: Document, name: str, wanted: Document, *, ours: str | None, replace: bool) -> Document:
    old = entries.get(name)
    if old is None:
        return wanted
    if isinstance(old, dict):
        known = cast("Document", old)
        if all(known.get(key) == value for key, value in wanted.items() if key != "headers"):
            return {**wanted, **known}  # the same server; its headers may hold a key by now
        arguments: object = known.get("args")
        if ours is not None and isinstance(arguments, list) and ours in arguments:
            return {**wanted, **{key: value for key, value in known.items() if key not in _TRANSPORT_KEYS}}
    if not replace:
        raise ProjectError(
            f"nothing was written: {path} has another server called {name!r}; choose a name with --name, or say "
            "--replace"
        )
    return wanted


def rendered(document: Document, like: str) -> str:
    """The document as text, indented as the text that it replaces."""
    found = _INDENT.search(like)
    return json.dumps(document, indent=found[1] if found else 2, ensure_ascii=False) + "\n"


def write(path: Path, text: str) -> None:
    """Replace the file, whole or not at all; a link keeps leading to it.

    Raises:
        ProjectError: It cannot be written.
    """
    target = path.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = target.stat().st_mode & 0o777 if target.exists() else _MODE_NEW
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(mode)
            Path(name).replace(target)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise _unusable(path, f"cannot be written: {error.strerror or error}") from error


def _unusable(path: Path, why: str) -> ProjectError:
    return ProjectError(f"nothing was written: {path} {why}; mend it, or add by hand what --print shows")


def _kind(value: object) -> str:
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case str():
            return "a string"
        case None:
            return "null"
        case _:
            return "a number or a truth value"
