"""Who may reach the server: rules about authentication that hold before anything listens."""

from collections.abc import Mapping
from typing import Final

from ratchet.config.mcp import ApiKeyConfig
from ratchet.config.model import Config
from ratchet.config.problems import KeyPath, Problems
from ratchet.config.secrets import Secret
from ratchet.errors import ConfigError
from ratchet.policy.client import LOCAL

KEY_CHARACTERS_MIN: Final = 16
_AUTH: Final[KeyPath] = ("mcp", "server", "auth")
_KEYS: Final[KeyPath] = (*_AUTH, "api_keys")


def check_access(config: Config, environ: Mapping[str, str], problems: Problems) -> tuple[str, ...]:
    """Adds a problem for whatever would leave the server open or a client unable to enter; returns warnings.

    Keys are resolved here to be looked at, and neither kept nor shown.
    """
    server = config.mcp.server
    keys = server.auth.api_keys
    if server.auth.type == "api_key" and not keys:
        problems.add(
            (*_AUTH, "type"), "api_key needs at least one entry in mcp.server.auth.api_keys; nobody could enter"
        )
    if server.auth.type == "none" and keys:
        problems.add(_KEYS, "would not be asked for, since mcp.server.auth.type is none; write `type: api_key`")
    if server.auth.type == "none" and server.serves_http and not server.address.loopback:
        problems.add(
            ("mcp", "server", "bind_address"),
            f"{server.bind_address} can be reached from other machines, and mcp.server.auth lets everybody in; "
            "bind to 127.0.0.1, or set mcp.server.auth.type to api_key",
        )
    _check_names(keys, problems)
    return _check_keys(keys, environ, problems)


def _check_names(keys: tuple[ApiKeyConfig, ...], problems: Problems) -> None:
    first: dict[str, int] = {}
    for index, entry in enumerate(keys):
        if entry.name == LOCAL:
            message = (
                f"{LOCAL!r} is who needs no key: over stdio and at the shell; what is theirs would be this client's"
            )
            problems.add((*_KEYS, index, "name"), message)
        if first.setdefault(entry.name, index) != index:
            message = (
                f"{entry.name!r} is the name of api_keys[{first[entry.name]}] too; records could not tell them apart"
            )
            problems.add((*_KEYS, index, "name"), message)


def _check_keys(keys: tuple[ApiKeyConfig, ...], environ: Mapping[str, str], problems: Problems) -> tuple[str, ...]:
    first: dict[str, int] = {}
    warnings: list[str] = []
    for index, entry in enumerate(keys):
        path = (*_KEYS, index, "key")
        value = _value(entry.key, environ)
        if value is None or problems.about(path):
            continue
        if (fault := _fault(value)) is not None:
            problems.add(path, fault)
        elif first.setdefault(value, index) != index:
            problems.add(path, f"is the key of api_keys[{first[value]}] too; clients could not be told apart")
        elif not entry.key.variables:
            place = problems.source.place(path)
            warnings.append(f"{place}: the file holds the key itself; write ${{NAME}} and set that variable instead")
    return tuple(warnings)


def _value(secret: Secret, environ: Mapping[str, str]) -> str | None:
    try:
        return secret.resolve(environ)
    except ConfigError:
        return None  # reported where variables were filled in


def _fault(value: str) -> str | None:
    if not value:
        return "must not be empty"
    if len(value) < KEY_CHARACTERS_MIN:
        return f"must have at least {KEY_CHARACTERS_MIN} characters: a shorter key can be guessed"
    if not all("!" <= character <= "~" for character in value):
        return "must be visible ASCII characters without spaces or line ends, since it travels in an HTTP header"
    return None
