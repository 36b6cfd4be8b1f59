"""The llm-gateway as a process of its own, a hub in this one, and a link that asks as a worker would."""

import asyncio
import json
import os
import shutil
import socket
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zmq

from ipc.access import AccessTable
from ipc.hub import Hub
from ipc.link import Link
from ipc.zeromq import ZmqHubTransport
from ratchet import channel, rpc
from ratchet.access import ACCESS
from ratchet.bodies.common import Empty
from ratchet.llm.bodies import (
    CallRemoteTool,
    ChatMessage,
    Complete,
    Completion,
    ListRemoteTools,
    ListServers,
    RemoteResult,
    RemoteServer,
)
from ratchet.messages import GET_HEALTH, LLM_COMPLETE, MCP_CALL_TOOL, MCP_LIST_SERVERS, MCP_LIST_TOOLS
from ratchet.project import find_project

SOON = 20.0

ACTOR = """
import os, socket, sys
from ratchet.actor import ActorSetup
from ratchet.config import load_config
from ratchet.project import find_project
from actors.llm_gateway import start
project = find_project(None, None, os.environ, os.getcwd())
start(ActorSetup(
    name="llm-gateway",
    incarnation=os.urandom(6).hex(),
    project=project,
    config=load_config(project, environ=os.environ),
    control=socket.socket(fileno=int(sys.argv[1])),
))
"""


@dataclass
class Gateway:
    """A running gateway, and a link to it."""

    link: Link
    folder: Path
    process: Process
    hub: Hub
    control: socket.socket

    def drain(self) -> None:
        """Ask the process to end, as the supervisor does."""
        self.control.send(channel.encode("drain", {"grace_seconds": SOON}))

    async def complete(self, prompt: str, *, timeout_seconds: float = SOON, **given: Any) -> Completion:
        given.setdefault("execution_id", "exec_1")
        asked = Complete(messages=[ChatMessage(role="user", content=prompt)], **given)
        return await rpc.call(self.link, LLM_COMPLETE, asked, timeout_seconds=timeout_seconds)

    async def servers(self) -> dict[str, RemoteServer]:
        found = await rpc.call(self.link, MCP_LIST_SERVERS, ListServers())
        return {server.name: server for server in found.servers}

    async def tools(self, server: str) -> list[str]:
        found = await rpc.call(self.link, MCP_LIST_TOOLS, ListRemoteTools(server=server))
        return [tool.name for tool in found.tools]

    async def call(self, server: str, tool: str, *, timeout_seconds: float = SOON, **arguments: Any) -> RemoteResult:
        body = CallRemoteTool(server=server, tool=tool, arguments=arguments)
        return await rpc.call(self.link, MCP_CALL_TOOL, body, timeout_seconds=timeout_seconds)


@asynccontextmanager
async def gateway(
    folder: Path, config: Mapping[str, Any], environ: Mapping[str, str] | None = None
) -> AsyncGenerator[Gateway]:
    """A gateway with this configuration; it and the hub end with the block."""
    (folder / "ratchet.yaml").write_text(json.dumps({"data_dir": str(folder / "data"), **config}))
    runtime = Path(tempfile.mkdtemp(prefix="rt-"))
    environment = {
        **os.environ,
        "XDG_RUNTIME_DIR": str(runtime),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        **(environ or {}),
    }
    project = find_project(None, None, environment, folder)
    context = zmq.Context[Any]()
    table = AccessTable(frozenset({*ACCESS, ("worker", "llm-gateway", "health.")}))
    hub = Hub(ZmqHubTransport(context, project.hub_endpoint), name="worker:1", incarnation="f" * 12, access=table)
    link = hub.local_link({})
    running = asyncio.create_task(hub.run())
    try:
        async with _actor(folder, environment) as (process, control):
            await rpc.call(link, GET_HEALTH, Empty(), target="llm-gateway", timeout_seconds=SOON)  # it is connected
            yield Gateway(link, folder, process, hub, control)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        context.destroy(linger=0)
        shutil.rmtree(runtime, ignore_errors=True)


@asynccontextmanager
async def _actor(folder: Path, environment: Mapping[str, str]) -> AsyncGenerator[tuple[Process, socket.socket]]:
    ours, theirs = channel.pair()
    ours.setblocking(False)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ACTOR, str(theirs.fileno())),
        cwd=folder,
        env=environment,
        pass_fds=[theirs.fileno()],
    )
    theirs.close()
    try:
        async with asyncio.timeout(SOON):
            decoder = channel.Decoder()
            while not (said := list(decoder.feed(await asyncio.get_running_loop().sock_recv(ours, 65536)))):
                continue
        assert said[0][0] == "ready", said
        yield process, ours
    finally:
        ours.close()
        await process.wait()
