"""The hosts that agents run in: where each keeps its MCP servers, and how it writes one down. Pure.

A key is never written: hosts with an HTTP entry get a placeholder in their own notation for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

Document = dict[str, Any]

KEY_VARIABLE = "RATCHET_API_KEY"
_KEY_INPUT = "ratchet-api-key"


class Host(StrEnum):
    """A program that people use agents in."""

    CLAUDE_CODE = "claude-code"
    CLAUDE_DESKTOP = "claude-desktop"
    CURSOR = "cursor"
    VSCODE = "vscode"


@dataclass(frozen=True, slots=True)
class Form:
    """How a host writes its servers down.

    Attributes:
        title: Its name, for reading.
        section: The object that holds the servers by name.
        types: What an entry says of its transport, stdio and HTTP; None: nothing.
        http: Whether it understands an entry with an address.
        key: How the entry refers to a key that is kept elsewhere.
        inputs: Declarations that the reference needs, beside the servers.
        after: What is left to do.
    """

    title: str
    section: str
    types: tuple[str | None, str | None]
    http: bool
    key: str
    after: str
    inputs: tuple[Document, ...] = ()


FORMS: Mapping[Host, Form] = {
    Host.CLAUDE_CODE: Form(
        title="Claude Code",
        section="mcpServers",
        types=("stdio", "http"),
        http=True,
        key=f"${{{KEY_VARIABLE}}}",
        after="start `claude` in this folder and allow the server; `/mcp` shows it",
    ),
    Host.CLAUDE_DESKTOP: Form(
        title="Claude Desktop",
        section="mcpServers",
        types=(None, None),
        http=False,
        key="",
        after="restart Claude Desktop",
    ),
    Host.CURSOR: Form(
        title="Cursor",
        section="mcpServers",
        types=(None, None),
        http=True,
        key=f"${{env:{KEY_VARIABLE}}}",
        after="open this folder in Cursor and switch the server on in its settings",
    ),
    Host.VSCODE: Form(
        title="VS Code",
        section="servers",
        types=("stdio", "http"),
        http=True,
        key=f"${{input:{_KEY_INPUT}}}",
        after="open this folder in VS Code and start the server: `MCP: List Servers`",
        inputs=({"type": "promptString", "id": _KEY_INPUT, "description": "API key of Ratchet", "password": True},),
    ),
}


def file_of(host: Host, folder: Path, environ: Mapping[str, str], platform: str) -> Path:
    """Where a host looks for servers: in the project's folder, or, for Claude Desktop, among the user's settings.

    Args:
        host: The host.
        folder: Of the project.
        environ: For the user's folders.
        platform: As `sys.platform` names it.
    """
    match host:
        case Host.CLAUDE_CODE:
            return folder / ".mcp.json"
        case Host.CURSOR:
            return folder / ".cursor" / "mcp.json"
        case Host.VSCODE:
            return folder / ".vscode" / "mcp.json"
        case Host.CLAUDE_DESKTOP:
            home = Path(environ.get("HOME", "~")).expanduser()
            settings = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
            if platform == "darwin":
                settings = home / "Library" / "Application Support"
            return settings / "Claude" / "claude_desktop_config.json"


def stdio_entry(host: Host, command: Sequence[str]) -> Document:
    """The entry with which a host starts a server itself."""
    program, *arguments = command
    return {**_typed(FORMS[host].types[0]), "command": program, "args": arguments}


def http_entry(host: Host, url: str, *, with_key: bool) -> Document:
    """The entry with which a host reaches a server that runs.

    Args:
        host: One that understands it (`Form.http`).
        url: The MCP endpoint.
        with_key: Whether the server asks for a key.
    """
    entry: Document = {**_typed(FORMS[host].types[1]), "url": url}
    if with_key:
        entry["headers"] = {"Authorization": f"Bearer {FORMS[host].key}"}
    return entry


def fragment(host: Host, name: str, entry: Document) -> Document:
    """What has to be in the host's file: the entry in its section, and what its key needs."""
    wanted: Document = {FORMS[host].section: {name: entry}}
    if "headers" in entry and FORMS[host].inputs:
        return {"inputs": [*FORMS[host].inputs], **wanted}
    return wanted


def _typed(kind: str | None) -> Document:
    return {} if kind is None else {"type": kind}
