"""The keys that the model has, as data: for hints, for finding the secrets, for the reference page."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ratchet.config.model import Config
from ratchet.config.problems import KeyPath
from ratchet.config.secrets import Secret

ANY = "*"


@dataclass(frozen=True, slots=True)
class Key:
    """One key.

    Attributes:
        path: Its path; `*` stands for an item of a list, or a name of the author's own.
        field: What pydantic knows of it: default, description, bounds.
        section: The model below it, for a mapping or a list of mappings.
    """

    path: tuple[str, ...]
    field: FieldInfo
    section: type[BaseModel] | None

    @property
    def text(self) -> str:
        """The path as people write it: `mcp.server.auth.api_keys[].key`."""
        return ".".join(self.path).replace(f".{ANY}", "[]")


@cache
def every_key() -> tuple[Key, ...]:
    """Every key, sections included, in the model's order."""
    return tuple(_keys(Config, ()))


@cache
def secret_patterns() -> frozenset[tuple[str, ...]]:
    """The paths, with `*`, whose values are secrets."""
    found: set[tuple[str, ...]] = set()
    for key in every_key():
        annotation = key.field.annotation
        if annotation is Secret:
            found.add(key.path)
        elif Secret in get_args(annotation):
            found.add((*key.path, ANY) if get_origin(annotation) is dict else key.path)
    return frozenset(found)


def is_secret(path: KeyPath) -> bool:
    """Whether the value at this path is a secret."""
    return any(matches(pattern, path) for pattern in secret_patterns())


def near_secret(path: KeyPath) -> bool:
    """Whether a value found here may be a secret that was put at the wrong level."""
    return len(path) > 1 and any(
        matches(pattern[: len(path)], path[: len(pattern)]) or matches(pattern[:-1], path[:-1])
        for pattern in secret_patterns()
    )


def matches(pattern: tuple[str, ...], path: KeyPath) -> bool:
    """Whether a path is one of those that the pattern stands for."""
    return len(pattern) == len(path) and all(part in (ANY, given) for part, given in zip(pattern, path, strict=True))


def names_beside(path: KeyPath) -> list[str]:
    """The keys that the model has where this path's last one stands."""
    return [key.path[-1] for key in every_key() if matches(key.path[:-1], path[:-1]) and key.path[-1] != ANY]


def _keys(model: type[BaseModel], prefix: tuple[str, ...]) -> Iterator[Key]:
    for name, field in model.model_fields.items():
        path = (*prefix, name)
        section, listed = _section(field.annotation)
        yield Key(path, field, section)
        if section is not None:
            yield from _keys(section, (*path, ANY) if listed else path)


def _section(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    listed = get_origin(annotation) is tuple
    inner: Any = get_args(annotation)[0] if listed else annotation
    if isinstance(inner, type) and issubclass(inner, BaseModel):
        return inner, listed
    return None, False
