"""What the model accepts and this version does not act on yet.

A restriction that is not enforced would be a false promise, so it is refused; a setting that merely has no effect is
reported. Whoever makes one work deletes its row here.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel

from ratchet.config.keys import ANY
from ratchet.config.mcp import RemoteServerConfig
from ratchet.config.model import Config
from ratchet.config.problems import KeyPath, Problems


@dataclass(frozen=True, slots=True)
class Unenforced:
    """A key, and which of its values ask for something that does not happen.

    Attributes:
        key: The key; `[]` stands for every item of a list.
        asks: Whether this value asks for it.
        instead: What to do about it.
    """

    key: str
    asks: Callable[[Any], bool]
    instead: str


def _is_a_name_alone(value: object) -> bool:
    return isinstance(value, RemoteServerConfig) and value.reached_by is None


def _is_oauth(value: object) -> bool:
    return value == "oauth2"


REFUSED: tuple[Unenforced, ...] = (Unenforced("mcp.server.auth.type", _is_oauth, "use api_key"),)

WITHOUT_EFFECT: tuple[Unenforced, ...] = (
    Unenforced("mcp.servers[]", _is_a_name_alone, "it has neither a command nor a url, so tasks cannot call it"),
)


def refuse_unenforced(config: Config, problems: Problems) -> None:
    """Adds a problem for every restriction that this version would not enforce."""
    for row, path, value in _asked(REFUSED, config):
        problems.add(path, f"{value} is not enforced by this version, so it is refused; {row.instead}")


def without_effect(config: Config, problems: Problems) -> tuple[str, ...]:
    """A sentence for every setting that has no effect in this version."""
    return tuple(
        f"{problems.source.place(path)}: has no effect in this version: {row.instead}"
        for row, path, _ in _asked(WITHOUT_EFFECT, config)
    )


def _asked(rows: tuple[Unenforced, ...], config: Config) -> Iterator[tuple[Unenforced, KeyPath, Any]]:
    for row in rows:
        pattern = row.key.replace("[]", f".{ANY}").split(".")
        for path, value in _values(config, pattern, ()):
            if row.asks(value):
                yield row, path, value


def _values(found: Any, pattern: list[str], path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    if not pattern:
        yield path, found
    elif pattern[0] == ANY:
        for index, item in enumerate(cast("Sequence[Any]", found)):
            yield from _values(item, pattern[1:], (*path, index))
    else:
        assert isinstance(found, BaseModel), f"{pattern[0]} names no key"
        yield from _values(getattr(found, pattern[0]), pattern[1:], (*path, pattern[0]))
