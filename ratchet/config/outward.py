"""What tasks may reach, LLM providers and MCP servers: names that can be told apart, and enough to reach each."""

import re
from collections.abc import Iterable
from typing import Final

from ratchet.config.llm import CALLER, SCRIPTED, LlmConfig
from ratchet.config.mcp import RemoteServerConfig
from ratchet.config.model import Config
from ratchet.config.problems import KeyPath, Problems

_PROVIDERS: Final[KeyPath] = ("llm", "providers")
_SERVERS: Final[KeyPath] = ("mcp", "servers")


def check_outward(config: Config, problems: Problems) -> None:
    """Adds a problem for whatever would leave a task's question without somebody to answer it."""
    _check_names(_PROVIDERS, [one.name for one in config.llm.providers], problems)
    _check_names(_SERVERS, [one.name for one in config.mcp.servers], problems)
    _check_routes(config.llm, problems)
    _check_script(config.llm, problems)
    for index, server in enumerate(config.mcp.servers):
        _check_server((*_SERVERS, index), server, problems)


def _check_names(path: KeyPath, names: Iterable[str], problems: Problems) -> None:
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        if path == _PROVIDERS and name == SCRIPTED:
            problems.add((*path, index, "name"), f"{SCRIPTED!r} is the route of llm.scripted; give another name")
        if path == _PROVIDERS and name == CALLER:
            problems.add((*path, index, "name"), f"{CALLER!r} is the route to the caller's LLM; give another name")
        if first.setdefault(name, index) != index:
            problems.add((*path, index, "name"), f"{name!r} is the name of {path[-1]}[{first[name]}] too")


def _check_routes(llm: LlmConfig, problems: Problems) -> None:
    known = [*(one.name for one in llm.providers), *((SCRIPTED,) if llm.scripted else ()), CALLER]
    for index, route in enumerate(llm.routes):
        path = ("llm", "routes", index)
        if route not in known:
            problems.add(path, f"{route!r} is no provider of llm.providers; known here: {', '.join(known)}")
        elif route in llm.routes[:index]:
            problems.add(path, f"{route!r} stands here twice")


def _check_script(llm: LlmConfig, problems: Problems) -> None:
    for index, rule in enumerate(llm.scripted):
        path: KeyPath = ("llm", "scripted", index)
        if (rule.answer is None) == (rule.error is None):
            problems.add(path, "needs either an answer or an error")
        try:
            pattern = re.compile(rule.pattern)
        except re.error as error:
            problems.add((*path, "pattern"), f"is no regular expression: {error}")
            continue
        try:
            pattern.sub(rule.answer or "", "")
        except (re.error, IndexError) as error:
            problems.add((*path, "answer"), f"refers to a group that the pattern does not have: {error}")


def _check_server(path: KeyPath, server: RemoteServerConfig, problems: Problems) -> None:
    if server.transport is None and server.command is not None and server.url is not None:
        problems.add(path, "has a command and a url; say with `transport` which of them is meant")
    elif server.transport == "stdio" and server.command is None:
        problems.add((*path, "command"), "is missing: transport is stdio, and a program has to be started")
    elif server.transport == "http" and server.url is None:
        problems.add((*path, "url"), "is missing: transport is http")
