"""Machines join by token over CURVE, are seen, drained and cut off: a real head, its command line, and connections that
are whatever a node could be."""

import asyncio
import os
import secrets
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import zmq

from ipc.curve import CurveClient, KeyPair
from ipc.errors import DeniedError, IpcError
from ipc.link import Link, Method, Request
from ipc.zeromq import ZmqLinkTransport
from ratchet import rpc
from ratchet.bodies.attempts import AttemptOrder, AttemptTaken, RegisterWorker
from ratchet.bodies.common import Empty
from ratchet.bodies.executions import ListTasks
from ratchet.bodies.node_work import FindCode, FoundCode
from ratchet.bodies.nodes import NodeState, RegisterNode
from ratchet.cli.exits import ExitCode
from ratchet.cluster.enrolment import enrol
from ratchet.cluster.token import JoinToken, parse_token
from ratchet.config.address import parse_address
from ratchet.errors import ForbiddenError, RefusedError, RequestError, UnavailableError
from ratchet.messages import (
    FIND_CODE,
    LIST_NODES,
    LIST_TASKS,
    NODE_CHANGED,
    REGISTER_NODE,
    REGISTER_WORKER,
    RUN_ATTEMPT,
)
from ratchet.version import VERSION
from tests.harness import BOUND_SECONDS, RunningProject, eventually_async, folder_project, started_project
from tests.integration.command_line import CommandLine, Ran

SHORT_SECONDS = 0.6  # for what does not answer


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    config = {"cluster": {"listen": "127.0.0.1:0"}, "workers": {"count": 0}}
    with started_project(tmp_path_factory.mktemp("head") / "project", config=config) as project:
        yield CommandLine(project)


async def ran(cli: CommandLine, *arguments: str) -> Ran:
    """A command beside the loop of the test."""
    return await asyncio.to_thread(cli.run, *arguments)


async def made_token(cli: CommandLine, *options: str) -> tuple[str, JoinToken]:
    """The head's address, and a join token of it."""
    body = (await ran(cli, "node", "token", "--json", *options)).json
    return body["address"], parse_token(body["token"])


async def joined(cli: CommandLine, name: str) -> tuple[str, CurveClient]:
    """What a machine has that joined."""
    address, token = await made_token(cli)
    own = KeyPair.generate()
    assert (await enrol(address, token, name=name, own=own)).name == name
    return address, CurveClient(token.server_public, own)


@asynccontextmanager
async def connected(
    endpoint: str, curve: CurveClient | None, name: str, methods: dict[str, Method] | None = None
) -> AsyncGenerator[Link]:
    """A link that is welcomed; raises why it is not."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    incarnation = secrets.token_hex(6)
    link = Link(
        ZmqLinkTransport(context, endpoint, curve=curve), name=name, incarnation=incarnation, methods=methods or {}
    )
    running = asyncio.create_task(link.run())
    welcome = asyncio.create_task(link.wait_welcomed(SHORT_SECONDS))
    try:
        await asyncio.wait({welcome, running}, return_when=asyncio.FIRST_COMPLETED)
        await (running if running.done() else welcome)
        yield link
    finally:
        for task in (welcome, running):
            task.cancel()
            with suppress(asyncio.CancelledError, TimeoutError, IpcError):
                await task
        context.destroy(linger=0)


async def registered(link: Link) -> NodeState:
    body = RegisterNode(version=VERSION, pid=os.getpid(), host="here")
    return await rpc.call(link, REGISTER_NODE, body)


# --- joining ---------------------------------------------------------------------------------------------------------


async def test_a_machine_joins_by_token_and_is_a_node_by_its_own_key_from_then_on(cli: CommandLine) -> None:
    endpoint, curve = await joined(cli, "first")
    async with connected(endpoint, curve, "node:first") as link:
        state = await registered(link)
        assert (state.status, state.version) == ("enrolled", VERSION)
        shown = (await ran(cli, "node", "list", "--json")).json
        node = next(one for one in shown["nodes"] if one["name"] == "first")
        assert shown["address"] == endpoint
        assert (node["connected"], node["host"], node["version"]) == (True, "here", VERSION)
        text = (await ran(cli, "node", "list")).out
        assert "first" in text
        assert "enrolled" in text
    await eventually_async(
        lambda: "0 of 1 nodes connected" in cli.run("status").out, "that it has gone is in the status"
    )


async def test_the_token_alone_is_on_stdout_and_the_head_keeps_only_its_public_half(cli: CommandLine) -> None:
    said = await ran(cli, "node", "token", "--uses", "2", "--expires", "10m")
    token = parse_token(said.out)
    assert said.out.strip() == token.encode()
    assert "2 times" in said.err
    assert "ratchet worker --join tcp://" in said.err
    kept = b"".join(path.read_bytes() for path in cli.project.data_dir.glob("nodes.db*"))
    assert token.secret not in kept
    assert KeyPair.of_secret(token.secret).public not in (token.secret, token.server_public)


async def test_the_heads_key_is_in_a_file_of_its_own_and_in_no_log(cli: CommandLine) -> None:
    path = cli.project.data_dir / "cluster.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secret = path.read_text().strip()
    logs = "".join(one.read_text() for one in (cli.project.data_dir / "logs").iterdir())
    assert secret not in logs


async def test_a_token_is_used_up(cli: CommandLine) -> None:
    endpoint, token = await made_token(cli)
    own = KeyPair.generate()
    await enrol(endpoint, token, name="only", own=own)
    with pytest.raises(RefusedError, match="used as often"):
        await enrol(endpoint, token, name="another", own=KeyPair.generate())


async def test_two_who_use_the_last_use_at_once_are_not_both_let_in(cli: CommandLine) -> None:
    endpoint, token = await made_token(cli)
    tries = [enrol(endpoint, token, name=f"at-once-{n}", own=KeyPair.generate()) for n in range(4)]
    ends = await asyncio.gather(*tries, return_exceptions=True)
    refused = [one for one in ends if isinstance(one, RefusedError | ForbiddenError)]
    assert len(refused) == 3


async def test_a_token_expires(cli: CommandLine) -> None:
    endpoint, token = await made_token(cli, "--expires", "1ms")
    with pytest.raises(RefusedError, match="has expired"):
        await enrol(endpoint, token, name="late", own=KeyPair.generate())


@pytest.mark.parametrize("lifetime", ["0", "31d", "soon"])
async def test_a_lifetime_that_no_token_has_is_a_usage_error(cli: CommandLine, lifetime: str) -> None:
    said = await ran(cli, "node", "token", "--expires", lifetime)
    assert said.code == ExitCode.USAGE
    assert "--expires" in said.err


async def test_enrolling_twice_with_one_key_is_once(cli: CommandLine) -> None:
    endpoint, token = await made_token(cli, "--uses", "2")
    own = KeyPair.generate()
    for _ in range(2):
        await enrol(endpoint, token, name="twice", own=own)
    await enrol(endpoint, token, name="and-another", own=KeyPair.generate())  # the second use is left


async def test_a_name_a_version_and_a_key_that_will_not_do_are_refused_with_the_reason(cli: CommandLine) -> None:
    endpoint, token = await made_token(cli, "--uses", "2")
    own = KeyPair.generate()
    await enrol(endpoint, token, name="taken", own=own)
    with pytest.raises(RequestError, match="another key is enrolled as node taken"):
        await enrol(endpoint, token, name="taken", own=KeyPair.generate())
    with pytest.raises(RequestError, match=f"runs Ratchet 99.1.0, the head {VERSION}"):
        await enrol(endpoint, token, name="newer", own=KeyPair.generate(), version="99.1.0")
    with pytest.raises(RequestError, match="cannot be a node's name"):
        await enrol(endpoint, token, name="No.Name", own=KeyPair.generate())
    with pytest.raises(RequestError, match="is node taken's already"):
        await enrol(endpoint, token, name="second-name", own=own)


async def test_a_token_of_another_head_does_not_even_get_an_answer(cli: CommandLine) -> None:
    endpoint, token = await made_token(cli)
    other = JoinToken(KeyPair.generate().public, token.secret, token.expires_at)
    with pytest.raises(UnavailableError, match="does the token come from it"):
        await enrol(endpoint, other, name="lost", own=KeyPair.generate(), seconds=SHORT_SECONDS)


# --- names and rights ------------------------------------------------------------------------------------------------


async def test_a_token_lets_nobody_do_anything_but_enrol(cli: CommandLine) -> None:
    endpoint, token = await made_token(cli)
    curve = CurveClient(token.server_public, KeyPair.of_secret(token.secret))
    async with connected(endpoint, curve, "joiner:x") as link:
        with pytest.raises(DeniedError):
            await rpc.call(link, LIST_TASKS, ListTasks())
        with pytest.raises(DeniedError):
            await registered(link)
    for name in ("node:x", "worker:x.1", "worker:1", "cli:1", "task-runner"):
        with pytest.raises(DeniedError):
            async with connected(endpoint, curve, name):
                pass


async def test_a_key_goes_by_the_names_of_its_node_and_no_other(cli: CommandLine) -> None:
    endpoint, curve = await joined(cli, "honest")
    _, other = await joined(cli, "other")
    async with connected(endpoint, curve, "node:honest") as link, connected(endpoint, curve, "worker:honest.1"):
        for name in ("node:honest", "worker:honest.1", "worker:honest.2", "worker:1", "cli:1", "mcp-front", "joiner:1"):
            with pytest.raises(DeniedError):
                async with connected(endpoint, other, name):
                    pass
        with pytest.raises(DeniedError):
            await rpc.call(link, LIST_NODES, Empty())
        assert (await registered(link)).status == "enrolled"  # nobody took its place


async def test_a_process_of_the_head_cannot_be_a_nodes(cli: CommandLine) -> None:
    endpoint, curve = await joined(cli, "remote")
    local = cli.project.project.hub_endpoint
    for name in ("node:remote", "worker:remote.1", "joiner:x"):
        with pytest.raises(DeniedError):
            async with connected(local, None, name):
                pass
    async with connected(endpoint, curve, "node:remote"):
        pass


async def test_without_a_key_that_is_enrolled_nothing_is_heard(cli: CommandLine) -> None:
    endpoint, token = await made_token(cli)
    for curve in (None, CurveClient(token.server_public, KeyPair.generate())):
        with pytest.raises(TimeoutError):
            async with connected(endpoint, curve, "node:stranger"):
                pass


# --- being seen ------------------------------------------------------------------------------------------------------


async def test_whoever_asks_how_the_head_is_hears_of_its_nodes(cli: CommandLine) -> None:
    endpoint, curve = await joined(cli, "seen")
    doctor = (await ran(cli, "doctor")).out
    assert "node seen" in doctor
    assert "not connected" in doctor
    async with cli.project.client() as agent:
        told = (await agent.call_tool("get_system_health", {})).structured_content
        assert told is not None
        assert "node seen is not connected" in told["problems"]
        async with connected(endpoint, curve, "node:seen"):
            told = (await agent.call_tool("get_system_health", {})).structured_content
            assert told is not None
            assert told["cluster"]["address"] == endpoint
            assert [one["connected"] for one in told["cluster"]["nodes"] if one["name"] == "seen"] == [True]
            assert "node seen is not connected" not in told["problems"]


async def test_the_names_of_nodes_are_completed(cli: CommandLine) -> None:
    await joined(cli, "completed")
    offered = await asyncio.to_thread(
        cli.run_process,
        COMP_WORDS="ratchet node drain comp",
        COMP_CWORD="3",
        _RATCHET_COMPLETE="complete_bash",
    )
    assert offered.out.split() == ["completed"]


# --- draining and revoking ---------------------------------------------------------------------------------------


async def test_a_node_is_drained_and_resumed_and_told_so(cli: CommandLine) -> None:
    endpoint, curve = await joined(cli, "tired")
    told: asyncio.Queue[str] = asyncio.Queue()

    async def changed(body: NodeState, _request: Request) -> Empty:
        await told.put(body.status)
        return Empty()

    async with connected(endpoint, curve, "node:tired", {**rpc.methods({NODE_CHANGED: changed})}) as link:
        await registered(link)
        assert "gets no new executions" in (await ran(cli, "node", "drain", "tired")).out
        assert await asyncio.wait_for(told.get(), BOUND_SECONDS) == "draining"
        assert (await registered(link)).status == "draining"
        assert "takes work again" in (await ran(cli, "node", "resume", "tired")).out
        assert await asyncio.wait_for(told.get(), BOUND_SECONDS) == "enrolled"


async def test_a_revoked_node_is_cut_off_at_once_and_what_it_ran_ends_with_the_cause(cli: CommandLine) -> None:
    endpoint, curve = await joined(cli, "bad")
    taken = asyncio.Event()

    async def find(_body: FindCode, _request: Request) -> FoundCode:
        return FoundCode(version=version)

    async def run(_body: AttemptOrder, _request: Request) -> AttemptTaken:
        taken.set()
        return AttemptTaken(pid=1)

    tasks = await ran(cli, "tasks", "--json")
    version = next(one["version"] for one in tasks.json["tasks"] if one["task_id"] == "fail")
    serves: dict[str, Method] = {**rpc.methods({FIND_CODE: find})}
    runs: dict[str, Method] = {**rpc.methods({RUN_ATTEMPT: run})}
    async with (
        connected(endpoint, curve, "node:bad", serves) as node,
        connected(endpoint, curve, "worker:bad.1", runs) as worker,
    ):
        await registered(node)
        offer = RegisterWorker(name="worker:bad.1", incarnation=worker.incarnation, pid=1, slots=1, in_flight=[])
        await rpc.call(worker, REGISTER_WORKER, offer)
        started = await ran(cli, "run", "fail", "--no-wait", "--json")
        await asyncio.wait_for(taken.wait(), BOUND_SECONDS)
        revoked = await ran(cli, "node", "revoke", "bad", "--json")
        assert (revoked.json["status"], revoked.json["connected"]) == ("revoked", False)
        shown = await ran(cli, "show", started.json["execution_id"], "--json")
        failure = shown.json["failure"]
        assert (failure["category"], failure["type"]) == ("worker_lost", "NodeRevoked")
        assert "node bad, which ran this attempt, was revoked" in failure["message"]
        with pytest.raises(IpcError):  # nothing it says arrives any more
            await rpc.call(node, REGISTER_NODE, RegisterNode(version=VERSION, pid=1, host="x"), timeout_seconds=0.5)
    with pytest.raises(TimeoutError):
        async with connected(endpoint, curve, "node:bad"):
            pass
    assert (await ran(cli, "node", "resume", "bad")).code != 0


async def test_the_name_of_a_revoked_node_is_free_for_a_new_key_and_never_for_the_old_one(cli: CommandLine) -> None:
    endpoint, curve = await joined(cli, "reborn")
    await ran(cli, "node", "revoke", "reborn")
    _, token = await made_token(cli, "--uses", "2")
    with pytest.raises(RequestError, match="this key was revoked"):
        await enrol(endpoint, token, name="reborn", own=curve.own)
    await enrol(endpoint, token, name="reborn", own=KeyPair.generate())


async def test_an_unknown_node_is_named_beside_those_there_are(cli: CommandLine) -> None:
    await joined(cli, "known")
    said = await ran(cli, "node", "drain", "unknown")
    assert said.code != 0
    assert "no node is called 'unknown'" in said.err
    assert "known" in said.err


# --- where it is off, and restarts ----------------------------------------------------------------------------


def test_without_a_cluster_the_commands_say_how_to_have_one(shared_project: RunningProject) -> None:
    ran = CommandLine(shared_project).run("node", "token")
    assert ran.code != 0
    assert "set cluster.listen" in ran.err
    assert not (shared_project.data_dir / "nodes.db").exists()


def test_a_port_that_is_taken_is_a_failed_start_that_names_the_key(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with folder_project(tmp_path / "project", tasks={}, config={"cluster": {"listen": listen}}) as project:
            ran = subprocess.run(
                [sys.executable, "-P", "-m", "supervisor", "--config", str(project.config_path)],
                env=project.environ, capture_output=True, text=True, timeout=BOUND_SECONDS, check=False,
            )  # fmt: skip
    assert ran.returncode == 1
    assert f"cluster.listen {listen} cannot be bound" in ran.stderr


def test_the_report_of_the_start_says_where_nodes_connect(cli: CommandLine) -> None:
    assert "nodes connect to tcp://127.0.0.1:" in cli.project.said()
    assert parse_address(cli.run("node", "list", "--json").json["address"].removeprefix("tcp://")).port > 0


def test_a_node_survives_a_restart_of_the_head(cli: CommandLine) -> None:
    cli.run("node", "token")
    before = [one["name"] for one in cli.run("node", "list", "--json").json["nodes"]]
    cli.project.kill("task-runner")
    after = [one["name"] for one in cli.run("node", "list", "--json").json["nodes"]]
    assert before == after != []
