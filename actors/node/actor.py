"""A node's process: registers the node, says which code it has and how its workers ended, and ends it when refused."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable

import structlog

from actors.node.code import Code
from ipc.errors import IpcError
from ipc.link import Request
from ratchet import messages, rpc
from ratchet.actor import ActorHost
from ratchet.bodies.common import Empty
from ratchet.bodies.health import Health
from ratchet.bodies.node_work import FindCode, FoundCode, WorkerExit
from ratchet.bodies.nodes import NodeState, RegisterNode
from ratchet.errors import RatchetError, UnavailableError
from ratchet.health import ProcessHealth
from ratchet.supervision.exits import ExitReport
from ratchet.version import VERSION

log = structlog.stdlib.get_logger("node")

_RETRY_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0)
_CALL_SECONDS = 10.0
_LOOK_SECONDS = 0.5
_SILENT_SECONDS = (3.0, 10.0, 30.0, 60.0)  # without the head, until the next word about that


class NodeActor:
    """One node."""

    def __init__(self, host: ActorHost) -> None:
        assert host.setup.membership is not None
        self._host = host
        self._member = host.setup.membership
        self._code = Code(host.setup.config.tasks.paths)
        self._process = ProcessHealth(host.setup.name)
        self._state: NodeState | None = None
        self._link = host.make_link(self._methods(), on_welcome=self._welcomed, on_refused=self._not_admitted)

    async def run(self) -> None:
        """Speak for the node until drained."""
        self._host.on_exit_report = self._worker_exited
        self._host.own(self._keep_link(), name="link")
        self._host.own(self._watch_head(), name="head")
        self._host.own(self._watch_code(), name="code")
        self._host.ready(head=self._member.head, node=self._member.node)
        await self._host.drain.wait()

    # --- what the head asks and says ------------------------------------------------------------------------------

    def _methods(self) -> dict[str, "rpc.Handler"]:
        return rpc.methods(
            {
                messages.FIND_CODE: self._find_code,
                messages.NODE_CHANGED: self._changed,
                messages.GET_HEALTH: self._health,
            }
        )

    async def _find_code(self, body: FindCode, _request: Request) -> FoundCode:
        if self._state is None:  # the head has not said yet whether the versions of Ratchet go together
            raise UnavailableError("this node is not registered yet")
        return await asyncio.to_thread(self._code.find, body.files)

    async def _changed(self, body: NodeState, _request: Request) -> Empty:
        self._take(body)
        return Empty()

    async def _health(self, _body: Empty, _request: Request) -> Health:
        return self._process.report(counters=dict(self._link.counters))

    def _take(self, state: NodeState) -> None:
        before, self._state = self._state, state
        match state.status:
            case "revoked":
                self._give_up(f"the head at {self._member.head} revoked node {self._member.node}")
            case "draining":
                log.warning("the head drains this node: it gets no new executions", node=self._member.node)
            case "enrolled" if before is None or before.status != "enrolled":
                log.info("joined", node=self._member.node, head=self._member.head, head_version=state.version)
            case _:
                pass

    # --- what it tells the head -----------------------------------------------------------------------------------

    def _welcomed(self, _hub_incarnation: str) -> None:
        self._host.own(self._register(), name="register")

    async def _register(self) -> None:
        body = RegisterNode(version=VERSION, pid=os.getpid(), host=socket.gethostname())

        async def register() -> None:
            self._take(await rpc.call(self._link, messages.REGISTER_NODE, body, timeout_seconds=_CALL_SECONDS))

        try:
            await _until_done(register, "not registered")
        except RatchetError as error:
            self._give_up(f"the head at {self._member.head} does not take node {self._member.node}: {error.message}")

    async def _worker_exited(self, report: ExitReport) -> None:
        """A worker of this machine is gone: said until the runner has heard it."""

        async def tell() -> None:
            body = WorkerExit(report=report)
            await rpc.call(self._link, messages.WORKER_EXITED, body, timeout_seconds=_CALL_SECONDS)

        if report.name == self._host.setup.name:
            return
        try:
            await _until_done(tell, "an exit was not taken")
        except RatchetError as error:
            log.error("an exit was refused", name=report.name, error=error.message)

    async def _watch_code(self) -> None:
        async def tell() -> None:
            await rpc.call(self._link, messages.CODE_CHANGED, Empty(), timeout_seconds=_CALL_SECONDS)

        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if await asyncio.to_thread(self._code.changed):
                log.info("task files have changed")
                await _until_done(tell, "the head was not told that task files have changed")

    # --- the way to the head --------------------------------------------------------------------------------------

    async def _keep_link(self) -> None:
        try:
            await self._link.run()
        except IpcError as error:
            self._give_up(f"the head at {self._member.head} refuses node {self._member.node}: {error.message}")

    def _not_admitted(self) -> None:
        self._give_up(
            f"the head at {self._member.head} does not admit the key of node {self._member.node}: it was revoked, or "
            f"belongs to another head; to join again, remove {self._member.path} and use a new token"
        )

    def _give_up(self, reason: str) -> None:
        log.error("this node is of no use any more", reason=reason)
        self._host.give_up(reason)

    async def _watch_head(self) -> None:
        """Say so when there is no way to the head, ever more seldom, and when there is one again."""
        missed = 0
        while True:
            try:
                async with asyncio.timeout(_SILENT_SECONDS[min(missed, len(_SILENT_SECONDS) - 1)]):
                    await self._link.welcomed.wait()
            except TimeoutError:
                missed += 1
                log.warning("the head does not answer; trying on", head=self._member.head)
                continue
            if missed:
                log.info("the head answers", head=self._member.head)
            missed = 0
            await asyncio.sleep(_LOOK_SECONDS)


async def _until_done(say: Callable[[], Awaitable[None]], trouble: str) -> None:
    """Say it until it is heard; what is refused for good is raised."""
    tries = 0
    while True:
        try:
            return await say()
        except (IpcError, UnavailableError) as error:
            log.debug(trouble, error=str(error), tries=tries)
        await asyncio.sleep(_RETRY_SECONDS[min(tries, len(_RETRY_SECONDS) - 1)])
        tries += 1


async def main(host: ActorHost) -> None:
    """Be a node until drained."""
    await NodeActor(host).run()
