"""The server in one process, in both eras, over a link whose other side misbehaves."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, cast

import pytest
from mcp import Client
from structlog.testing import capture_logs

from actors.mcp_front.answers.answer_cache import AnswerCache
from actors.mcp_front.audit import AuditTrail
from actors.mcp_front.front import Front
from actors.mcp_front.links import Links
from actors.mcp_front.naming import ToolNames
from actors.mcp_front.protocol.exposed import Exposed
from actors.mcp_front.protocol.server import make_server
from actors.mcp_front.tools.table import TOOLS
from actors.mcp_front.wording import Wording
from ipc.errors import ExpiredError, RemoteError, TooLargeError
from ipc.link import Link
from ratchet.config.mcp import ServerConfig
from ratchet.health import ProcessHealth
from ratchet.policy.profiles import stdio_profiles
from ratchet.policy.requests import AppendAudit
from tests.integration.agents import Agent

SECRET = "what only the log may know"


class BadLink:
    """Every call fails."""

    counters: dict[str, int]

    def __init__(self, error: Callable[[str], Exception]) -> None:
        self.counters = {}
        self.asked: list[str] = []
        self._error = error

    async def call(self, _target: str, method: str, _body: bytes, **_options: Any) -> bytes:
        self.asked.append(method)
        raise self._error(method)


async def _never(_batch: AppendAudit) -> None:
    raise AssertionError("nothing is recorded here")


def agent(error: Callable[[str], Exception], mode: str, *, exposing: bool = False) -> tuple[Client, BadLink]:
    link = BadLink(error)
    front = Front(
        link=cast("Link", link),
        wording=Wording(ToolNames(), Links(), 5.0),
        health=ProcessHealth("mcp-front"),
        own=lambda work, name: asyncio.get_running_loop().create_task(work, name=name),
        profiles=stdio_profiles(ServerConfig()),
        audit=AuditTrail(_never, enabled=False),
        transport="stdio",
        exposed=Exposed(cast("Link", link), enabled=exposing),
        finished_logs=AnswerCache(0, time.monotonic),
    )
    return Client(make_server(front), mode=mode), link


both_eras = pytest.mark.parametrize("mode", ["legacy", "auto"])


@both_eras
@pytest.mark.parametrize("error", [RuntimeError(SECRET), RemoteError("internal", SECRET), KeyError(SECRET)])
async def test_what_is_raised_unexpectedly_is_logged_and_never_on_the_wire(mode: str, error: Exception) -> None:
    client, _ = agent(lambda _: error, mode)
    with capture_logs() as logs:
        async with client as entered:
            for tool, arguments in (
                ("get_execution_status", {"execution_id": "exec_1"}),
                ("get_execution_logs", {"execution_id": "exec_1"}),
                ("list_available_tasks", {}),
                ("list_executions", {}),
            ):
                result = await Agent(entered).call(tool, arguments)
                assert result.failed
                assert result.structured["error"]["type"] == "internal_error"
                assert SECRET not in result.text
                [entry] = [one for one in logs if one.get("tool") == tool]
                assert str(entry["reference"]) in result.text
                assert entry["exc_info"] is error


@both_eras
async def test_a_submission_that_gets_no_answer_names_the_execution_to_look_for(mode: str) -> None:
    client, link = agent(lambda method: ExpiredError(f"{method} got no answer"), mode)
    async with client as entered:
        result = await Agent(entered).run("add", {})
    assert link.asked == ["executions.submit"]
    assert result.structured["error"]["type"] == "expired"
    assert result.structured["error"]["retryable"]
    assert result.structured["execution_id"].startswith("exec_")
    assert result.structured["execution_id"] in result.structured["next"]


@both_eras
async def test_an_input_beyond_a_message_says_what_to_do_instead(mode: str) -> None:
    client, _ = agent(lambda _: TooLargeError("9 MB"), mode)
    async with client as entered:
        result = await Agent(entered).run("add", {})
    assert result.structured["error"]["type"] == "too_large"
    assert "file" in result.structured["next"]


@both_eras
async def test_health_is_told_even_when_nobody_answers(mode: str) -> None:
    client, _ = agent(lambda _: ExpiredError("no answer"), mode)
    async with client as entered:
        result = await Agent(entered).call("get_system_health")
    assert result.structured["status"] == "degraded"
    assert "task-runner did not answer" in result.text


@both_eras
async def test_tools_are_listed_though_nobody_says_which_tasks_are_exposed(mode: str) -> None:
    client, link = agent(lambda _: ExpiredError("late"), mode, exposing=True)
    async with client as entered:
        names = [tool.name for tool in (await entered.list_tools()).tools]

    assert names == [f"ratchet_{name}" for name in TOOLS]
    assert link.asked == ["tasks.tools"]
