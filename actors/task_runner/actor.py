"""The task-runner's process: the hub, the store of executions, and the parts of the runner around them."""

import asyncio
import signal
import time
from contextlib import AsyncExitStack

import structlog

from actors.task_runner.asks import AskDesk
from actors.task_runner.behalf import acting
from actors.task_runner.callers import Callers
from actors.task_runner.calls import CallDesk
from actors.task_runner.catalogue import Catalogue
from actors.task_runner.cluster import Cluster
from actors.task_runner.describing import describe
from actors.task_runner.desk import Desk
from actors.task_runner.dispatcher import Dispatcher
from actors.task_runner.housekeeping import Housekeeping
from actors.task_runner.inspecting import Inspecting
from actors.task_runner.ledger import Ledger
from actors.task_runner.news import Newsroom
from actors.task_runner.node_code import NodeCode
from actors.task_runner.nodes import NodeDesk
from actors.task_runner.peers import peer_health
from actors.task_runner.presence import HubPresence
from actors.task_runner.toolbox import Toolbox
from actors.task_runner.workers import Workers, stood_still
from ipc.access import AccessTable
from ipc.handshake import fits
from ipc.hub import Hub, Peer
from ipc.link import Method, Request
from ipc.liveness import Liveness
from ratchet import messages, rpc
from ratchet.access import ACCESS
from ratchet.actor import ActorHost
from ratchet.bodies.attempts import AttemptProgress, AttemptReport, RegisterWorker
from ratchet.bodies.common import Empty
from ratchet.bodies.executions import ListTasks
from ratchet.bodies.health import Health
from ratchet.bodies.node_work import FindCode, FoundCode, WorkerExit
from ratchet.cluster.names import actor_name, node_of
from ratchet.errors import ForbiddenError, RatchetError
from ratchet.health import ProcessHealth
from ratchet.messages import Admission, Admit, AppendAudit, AuditPage, ReadAudit, ToolsChanged
from ratchet.models import Category, Failure, ProcessEnd, Status, Task
from ratchet.policy.rate_limits import RateLimiter
from ratchet.runtime.versions import version_of
from ratchet.stores.asks import AskStore
from ratchet.stores.audit import AuditStore
from ratchet.stores.database import Database
from ratchet.stores.executions import ExecutionStore
from ratchet.stores.pruning import PruningStore
from ratchet.supervision.exits import ExitReport

log = structlog.stdlib.get_logger("task-runner")

_WORKER_SECONDS = 15.0
_TICK_SECONDS = 1.0
_FRONT = "mcp-front"
_LAST_WORDS_SECONDS = 0.1  # what a dead worker still said is read before its attempts are given up


class TaskRunner:
    """Wires the parts together and answers for the process as a whole."""

    def __init__(self, host: ActorHost, database: Database, cluster: Cluster | None = None) -> None:
        config = host.setup.config
        self._host = host
        self._database = database
        self._process = ProcessHealth(host.setup.name)
        self._busy = False
        asks = AskStore(database)
        self._ledger = Ledger(ExecutionStore(database), asks)
        callers = Callers(config.llm.caller.unattended_seconds, time.monotonic)
        self._asks = AskDesk(self._ledger, asks, callers)
        self._audit = AuditStore(database)
        self._limiter = RateLimiter()
        self._catalogue = Catalogue(
            config.tasks.paths,
            lambda path: describe(path, self._workers, self._link),
            self._ledger.store.save_catalogue,
        )
        self._code = NodeCode(
            presence=HubPresence(lambda: self.hub.peers, cluster.registry if cluster is not None else None),
            ask=self._ask_for_code,
            files_of=self._catalogue.files_of,
            spawn=lambda work, name: host.own(work, name=name),
            changed=lambda: self._dispatcher.fill(),  # noqa: PLW0108 - there is none yet
        )
        self._workers = Workers(self._code.fits)
        self._cluster = cluster
        local = host.hub_transport()
        joined = cluster.join(local) if cluster is not None else None
        self.hub = Hub(
            joined or local,
            name=host.setup.name,
            incarnation=host.setup.incarnation,
            access=AccessTable(ACCESS),
            admits=joined.admits if joined is not None else fits,
            on_gone=self._on_gone,
            clock=host.clock,
        )
        methods: dict[str, Method] = {}  # filled below: what serves needs the link, and the link what it serves
        self._link = self.hub.local_link(methods)
        self._dispatcher = Dispatcher(
            ledger=self._ledger,
            catalogue=self._catalogue,
            workers=self._workers,
            link=self._link,
            incarnation=host.setup.incarnation,
            config=config,
            spawn=lambda work, name: host.own(work, name=name),
            timeout_of=self._timeout_of,
            attempt_ended=self._asks.attempt_ended,
            lease_of=self._lease_of,
            found_other=self._found_other,
        )
        self._nodes = NodeDesk(
            cluster,
            hub=self.hub,
            link=self._link,
            workers=self._workers,
            losses=self._dispatcher.losses,
            changed=self._dispatcher.fill,
            spawn=lambda work, name: host.own(work, name=name),
        )
        self._newsroom = Newsroom(self._catalogue)
        self._ledger.told = self._newsroom.executed
        self.toolbox = Toolbox(
            config.mcp.server.expose_tasks, self._catalogue, self._tell_fronts, self._newsroom.tasks_changed
        )
        self._desk = Desk(
            ledger=self._ledger,
            catalogue=self._catalogue,
            dispatcher=self._dispatcher,
            workers=self._workers,
            callers=callers,
            code=self._code,
            queue_size=config.executions.queue_size,
            unfinished_max=config.mcp.server.performance.max_concurrent_executions_per_client,
            on_accept=self._note_work,
        )
        self._calls = CallDesk(
            desk=self._desk,
            ledger=self._ledger,
            dispatcher=self._dispatcher,
            depth_max=config.executions.depth_max,
            spawn=lambda work, name: host.own(work, name=name),
            draining=host.drain.is_set,
        )
        self._housekeeping = Housekeeping(
            PruningStore(database),
            self._link,
            config.retention,
            held=lambda one: one in self._ledger.live or self._dispatcher.reports.pending(one),
        )
        methods.update({**self._methods(), **rpc.streams({messages.FOLLOW_NEWS: self._newsroom.follow})})

    async def run(self) -> None:
        """Serve until drained."""
        self._host.on_exit_report = self.process_exited
        await self.restore()
        self._listen()
        self._host.own(self.hub.run(), name="hub")
        self._host.own(self.tick(), name="tick")
        self._host.own(self.toolbox.watch(), name="toolbox")
        self._host.own(self._housekeeping.run(), name="housekeeping")
        self._host.ready(**({"cluster": self._cluster.address} if self._cluster is not None else {}))
        await self._host.drain.wait()
        # Whoever still waits asks the next runner: none of them may find the store closed.
        await self.hub.close()
        await self.close()

    def _listen(self) -> None:
        """Open the hub: an endpoint that cannot be used is a failed start, not a crash."""
        try:
            self.hub.start()
        except OSError as error:
            if self._cluster is None:
                raise
            raise self._cluster.unusable(error) from error

    def _on_gone(self, peer: Peer) -> None:
        self._nodes.gone(peer)

    async def restore(self) -> None:
        """Take up unfinished executions and what is known of task files that have not changed since."""
        live = await self._ledger.restore()
        roots = [str(path) for path in self._host.setup.config.tasks.paths]
        for path, description in (await self._ledger.store.load_catalogue()).items():
            if await asyncio.to_thread(version_of, description.files, roots) == description.version:
                self._catalogue.remember(path, description)
        self._dispatcher.families.restore(live)
        await self._asks.restore(live)
        for one in live:
            if one.state.status is Status.QUEUED:
                self._dispatcher.take_up(one)
        self._busy = bool(live)
        self._host.busy(self._busy)  # whatever an earlier runner said last
        if live:
            log.info("unfinished executions taken up", executions=len(live))

    async def close(self) -> None:
        """Record what was put off."""
        await self._dispatcher.reports.close()

    async def tick(self) -> None:
        """Each second: leases, placement that stops for the silent, and whether there is any work left."""
        loop = asyncio.get_running_loop()
        deaf = 0.0
        while True:
            before = loop.time()
            await asyncio.sleep(_TICK_SECONDS)
            now = loop.time()
            stood = stood_still(now - before, planned_seconds=_TICK_SECONDS)
            deaf += stood
            for worker in self._workers.all():
                peer = self.hub.peers.get(worker.name)
                worker.heard_at = max(worker.heard_at + stood, peer.last_seen if peer is not None else 0.0)
                if peer is None or peer.liveness is not Liveness.ALIVE:
                    worker.unavailable_until = now + 2 * _TICK_SECONDS
            await self._dispatcher.expire_leases(uptime_seconds=self._process.uptime_seconds - deaf)
            await self._dispatcher.expire_deadlines()
            await self._asks.tick()
            self._dispatcher.fill()
            await self._look_for_waiting()
            self._note_work()

    async def _look_for_waiting(self) -> None:
        """What waits for code that no node has may wait for a version that is the current one no more."""
        if len(self._dispatcher.queue) and not self._workers.local_slots:
            try:
                await self._catalogue.refresh()
            except RatchetError as error:
                log.debug("the task folders could not be looked at", error=str(error))

    def _note_work(self) -> None:
        """Tell the supervisor when there begins to be work, and when there is none any more."""
        busy = bool(self._ledger.live)
        if busy != self._busy:
            self._busy = busy
            self._host.busy(busy)

    async def process_exited(self, report: ExitReport) -> None:
        """The supervisor reaped an actor; a worker's attempts died with it."""
        if not report.name.startswith("worker"):
            return
        await asyncio.sleep(_LAST_WORDS_SECONDS)
        end = ProcessEnd(
            process=report.name,
            pid=report.pid,
            exit_code=report.exit_code,
            signal=report.signal,
            signal_name=signal.Signals(report.signal).name if report.signal else None,
            cpu_seconds=report.cpu_seconds,
            memory_bytes_max=report.memory_bytes_max,
        )
        message = f"{report.name} (pid {report.pid}), which ran this attempt, ended: {report.cause}"
        failure = Failure(category=Category.WORKER_LOST, type="WorkerDied", message=message, process=end)
        await self._dispatcher.losses.worker_gone(report.name, report.incarnation, failure)

    def _methods(self) -> dict[str, "rpc.Handler"]:
        return rpc.methods(
            {
                messages.SUBMIT: self._desk.submit,
                messages.GET_EXECUTION: self._desk.get,
                messages.LIST_EXECUTIONS: self._desk.list,
                messages.CANCEL_EXECUTION: self._desk.cancel,
                messages.INSPECT_EXECUTION: Inspecting(self._desk, self._link).inspect,
                messages.RUN_TASK: self._calls.run,
                messages.ASK_CALLER: self._asks.ask,
                messages.WITHDRAW_ASKS: self._asks.withdraw,
                messages.READ_ASKS: self._asks.read,
                messages.ANSWER_ASK: self._asks.answer,
                messages.LIST_TASKS: self._list_tasks,
                messages.LIST_TOOLS: self.toolbox.listed,
                messages.ADMIT: self._admit,
                messages.APPEND_AUDIT: self._append_audit,
                messages.READ_AUDIT: self._read_audit,
                messages.PRUNE: self._housekeeping.prune,
                messages.REPORT_ATTEMPT: self._report,
                messages.ATTEMPT_PROGRESS: self._progress,
                messages.REGISTER_WORKER: self._register,
                messages.WORKER_EXITED: self._node_worker_exited,
                messages.CODE_CHANGED: self._code_changed,
                messages.GET_HEALTH: self._health,
                **self._nodes.methods(),
            }
        )

    async def _admit(self, body: Admit, _request: Request) -> Admission:
        return Admission(retry_after=self._limiter.admit(body.client, body.tool, body.limit))

    async def _append_audit(self, body: AppendAudit, _request: Request) -> Empty:
        await self._audit.append(body)
        return Empty()

    async def _read_audit(self, body: ReadAudit, _request: Request) -> AuditPage:
        return await self._audit.read(body)

    async def _report(self, body: AttemptReport, request: Request) -> Empty:
        await self._dispatcher.report(body, request.source)
        return Empty()

    async def _progress(self, body: AttemptProgress, _request: Request) -> Empty:
        self._dispatcher.progress(body)
        return Empty()

    async def _register(self, body: RegisterWorker, request: Request) -> Empty:
        if body.name != request.source:
            raise ForbiddenError(f"{request.source} may not register as {body.name}")
        count = self._host.setup.config.workers.count
        only_describes = count == 0 and node_of(body.name) is None
        known = self._workers.get(body.name)
        if known is None or known.incarnation != body.incarnation:
            self._catalogue.doubt_broken()
        await self._dispatcher.register(body, slots=0 if only_describes else body.slots)
        return Empty()

    async def _node_worker_exited(self, body: WorkerExit, request: Request) -> Empty:
        if node_of(body.report.name) != node_of(request.source):
            raise ForbiddenError(f"{request.source} does not know how {body.report.name} ended")
        await self.process_exited(body.report)
        return Empty()

    async def _code_changed(self, _body: Empty, request: Request) -> Empty:
        self._code.forget(node_of(request.source) or "")
        return Empty()

    async def _ask_for_code(self, node: str, body: FindCode) -> FoundCode:
        return await rpc.call(
            self._link, messages.FIND_CODE, body, target=actor_name(node), timeout_seconds=_WORKER_SECONDS
        )

    def _found_other(self, worker: str, version: str) -> None:
        self._code.found_other(node_of(worker) or "", version)

    def _lease_of(self, worker: str | None) -> float:
        workers = self._host.setup.config.workers
        local = worker is None or node_of(worker) is None
        return workers.lease_seconds if local else workers.node_lease_seconds

    async def _list_tasks(self, body: ListTasks, request: Request) -> messages.Catalogue:
        client = acting(body, request)
        await self._catalogue.refresh()
        tasks, broken = self._catalogue.listed(client)
        wanted = (body.filter or "").casefold()
        return messages.Catalogue(
            tasks=[one for one in tasks if wanted in _searchable(one)],
            broken=[*broken, *self.toolbox.refused_for(client)],
        )

    def _tell_fronts(self, word: ToolsChanged) -> None:
        for name in [peer.name for peer in self.hub.peers.values() if peer.role == _FRONT]:
            rpc.cast(self._link, messages.TOOLS_CHANGED, word, target=name)

    async def _health(self, _body: Empty, _request: Request) -> Health:
        counts = await self._ledger.store.counts()
        return self._process.report(
            stores=[self._database.health(sum(counts.values()))],
            peers=[peer_health(peer, self._workers.get(peer.name)) for peer in self.hub.peers.values()],
            executions=counts,
            queue_limit=self._host.setup.config.executions.queue_size,
            asks_open=len(self._asks),
            slots=self._workers.slots,
            slots_busy=self._workers.busy,
            counters=dict(self.hub.counters + self._link.counters + self._dispatcher.reports.counters),
            tasks=len(self._catalogue.tasks),
            broken_files=len(self._catalogue.broken),
            cluster=self._nodes.overview(),
        )

    def _timeout_of(self, task: Task) -> float:
        limits = self._host.setup.config.limits
        return min(task.timeout_seconds or limits.timeout_seconds, self._timeout_max())

    def _timeout_max(self) -> float:
        config = self._host.setup.config
        return config.mcp.server.security.max_execution_time or float("inf")


def _searchable(task: Task) -> str:
    return " ".join([task.task_id, task.description, *task.tags]).casefold()


async def main(host: ActorHost) -> None:
    """Be the task-runner until drained."""
    listen = host.setup.config.cluster.listen
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(Cluster.open(host, listen)) if listen is not None else None
        database = await stack.enter_async_context(host.database("executions.db", store="executions"))
        await TaskRunner(host, database, cluster).run()
