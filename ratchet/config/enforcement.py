"""What the model accepts and this version does not act on yet.

A restriction that is not enforced would be a false promise, so it is refused; a setting that merely has no effect is
reported. Whoever makes one work deletes its row here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel

from ratchet.config.keys import ANY
from ratchet.config.model import Config
from ratchet.config.problems import KeyPath, Problems

_PERMISSIONS = "mcp.server.auth.api_keys[].permissions"


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


def _is_false(value: object) -> bool:
    return value is False


def _is_true(value: object) -> bool:
    return value is True


def _is_set(value: object) -> bool:
    return value is not None


def _is_filled(value: object) -> bool:
    return bool(value)


def _excludes_something(patterns: Sequence[str]) -> bool:
    return "*" not in patterns


def _is_oauth(value: object) -> bool:
    return value == "oauth2"


REFUSED: tuple[Unenforced, ...] = (
    Unenforced("mcp.server.auth.type", _is_oauth, "use api_key"),
    Unenforced(f"{_PERMISSIONS}.can_execute_tasks", _is_false, "remove it, or give this client no key"),
    Unenforced(f"{_PERMISSIONS}.can_read_logs", _is_false, "remove it, or give this client no key"),
    Unenforced(f"{_PERMISSIONS}.can_read_traces", _is_false, "remove it, or give this client no key"),
    Unenforced(f"{_PERMISSIONS}.allowed_task_patterns", _excludes_something, 'remove it, or write ["*"]'),
    Unenforced(f"{_PERMISSIONS}.rate_limits", _is_filled, "remove it"),
    Unenforced("mcp.server.security.max_log_entries", _is_set, "remove it"),
    Unenforced(
        "mcp.server.security.allow_dangerous_tasks", _is_false, "remove it, and keep such tasks out of the folders"
    ),
    Unenforced(
        "mcp.server.performance.max_concurrent_executions_per_client",
        _is_set,
        "remove it; workers.count and workers.children bound what runs for all clients together",
    ),
)

WITHOUT_EFFECT: tuple[Unenforced, ...] = (
    Unenforced("mcp.servers", _is_filled, "tasks cannot reach other MCP servers yet"),
    Unenforced("mcp.server.security.audit_log_enabled", _is_true, "no audit log is written yet"),
    Unenforced("mcp.server.performance.log_cache_ttl", _is_filled, "answers are not cached yet"),
)


def refuse_unenforced(config: Config, problems: Problems) -> None:
    """Adds a problem for every restriction that this version would not enforce."""
    for row, path, value in _asked(REFUSED, config):
        problems.add(path, f"{_shown(value)} is not enforced by this version, so it is refused; {row.instead}")


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


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(cast('tuple[str, ...]', value))}]"
    if isinstance(value, Mapping):
        limits = cast("Mapping[str, str]", value)
        return ", ".join(f"{name}: {limit}" for name, limit in limits.items())
    return f"{value:g}" if isinstance(value, float) else str(value)
