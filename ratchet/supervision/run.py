"""A supervisor from its first fork to its last: starts the child table, serves clients, and ends for a reason.

Holds no data and resolves no secrets. Which actors there are is `supervisor.py`'s table; how one lives and dies is
`ratchet.supervision.states`.
"""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

import structlog

from ratchet.actor import ActorSetup
from ratchet.errors import DrainingError, RefusedError, StartupError
from ratchet.supervision.children import Actor, Children, Observer
from ratchet.supervision.clients import Clients
from ratchet.supervision.ending import EXIT_INTENSITY, EXIT_REFUSED, EXIT_STARTUP, Ending
from ratchet.supervision.exit_log import ExitLog
from ratchet.supervision.exits import ExitReport
from ratchet.supervision.fronts import Fronts
from ratchet.supervision.loop import Loop, Timer
from ratchet.supervision.orphans import Orphans
from ratchet.supervision.place import Place
from ratchet.supervision.reloading import Reloading
from ratchet.supervision.report import startup_report
from ratchet.supervision.restart import RestartPolicy
from ratchet.supervision.spec import ChildTable
from ratchet.supervision.states import State
from ratchet.supervision.status import ChildStatus, LastExit, SupervisorStatus
from ratchet.version import VERSION

# Clients that waited through a cold start are served before anything else is started: one round each to accept, to
# read what they want, and to spare.
_GREETING_ROUNDS = 3
_REAP_SECONDS = 0.05

log = structlog.stdlib.get_logger("ratchet.supervisor")


class Supervisor:
    """One run."""

    def __init__(self, table: ChildTable, place: Place) -> None:
        self._table = table
        self._place = place
        self._loop = Loop()
        limits = place.config.supervisor
        self._children = Children(
            self._loop,
            RestartPolicy(limits.restart_intensity, limits.restart_period_seconds),
            self._make_setup,
            Observer(self._on_state, self._on_message, self._on_exit, self._on_intensity),
        )
        self._orphans = Orphans(self._loop, self._children.pids)
        self._exits = ExitLog()
        self._fronts = Fronts(table, place, self._children)
        self._clients = Clients(self._loop, place.listener, self)
        self._ending = Ending(self._loop, self._children, self._on_drain_progress)
        self._reloading = Reloading(
            self._loop,
            self._children,
            table,
            tell=lambda message, body: self._clients.tell("reload", message, **body),
            fail=lambda error: self._clients.refuse("reload", error),
        )
        self._started = time.monotonic()
        self._busy = False
        self._said_busy = False
        self._reported = False
        self._idle_timer: Timer | None = None

    def run(self, preload: Callable[[], None]) -> int:
        """Start everything, and return the exit code when the last process is gone.

        Args:
            preload: Called before the first actor is forked, but after agents that have waited through a cold start
                got their fronts.

        Raises:
            StartupError: Something that is needed could not be had, or an actor could not be started.
        """
        self._handle_signals()
        try:
            self._fronts.bind()
            if self._place.mode == "on-demand":
                for _ in range(_GREETING_ROUNDS):
                    self._loop.poll()
            preload()
            for spec in sorted(self._table.always, key=lambda spec: spec.stage):
                self._children.start(spec)
            self._fronts.start()
            self._mind_idleness()
            self._loop.run()
        finally:
            self._close()
        if self._ending.error is not None and self._ending.exit_code == EXIT_STARTUP:
            raise self._ending.error
        return self._ending.exit_code

    # --- what clients ask for (clients.Desk) ------------------------------------------------------------------------

    def check(self, body: dict[str, Any]) -> None:
        """Refuse clients of another version or configuration, naming both, and everybody while draining."""
        project = self._place.project
        where = f"the supervisor of {project.folder} (pid {os.getpid()})"
        if self._ending.begun:
            raise DrainingError(f"{where} is about to end", details={"pid": os.getpid()})
        member = self._place.membership
        if member is not None:
            raise RefusedError(
                f"{where} only works for the head at {member.head}, as its node {member.node}: connect there, or use "
                "another folder"
            )
        version, digest = str(body.get("version")), str(body.get("config_digest"))
        if version != VERSION:
            raise RefusedError(
                f"{where} is version {VERSION}, this client is version {version}: run `ratchet down`, so that the "
                "next start uses the new one, or call the `ratchet` of that version"
            )
        if digest != project.config_digest:
            raise RefusedError(
                f"{where} runs with another configuration: it started with "
                f"{project.config_path or 'no configuration file'} of digest {project.config_digest[:12]}, this "
                f"client has {body.get('config_path') or 'no configuration file'} of digest {digest[:12]}: run "
                "`ratchet down`, so that the next start reads the file as it is now"
            )

    def status(self) -> dict[str, Any]:
        """The body of a SupervisorStatus."""
        project, config = self._place.project, self._place.config
        return SupervisorStatus(
            project=str(project.folder),
            config_path=str(project.config_path) if project.config_path else None,
            config_digest=project.config_digest,
            data_dir=str(config.data_dir),
            version=VERSION,
            pid=os.getpid(),
            mode=self._place.mode,
            uptime_seconds=round(time.monotonic() - self._started, 3),
            draining=self._ending.begun,
            busy=self._busy,
            addresses=self._fronts.addresses,
            head=_joined(self._place),
            children=[_child_status(actor) for actor in self._children.actors.values()],
            clients=self._clients.count("stdio", "attach"),
            warnings=list(config.warnings),
        ).model_dump(mode="json")

    def drain(self, reason: str) -> None:
        """Finish: fronts first, the task-runner last."""
        self._ending.begin(reason)

    def reload(self) -> list[str]:
        """Replace the workers one by one; returns their names."""
        if self._ending.begun:
            raise DrainingError(f"the supervisor (pid {os.getpid()}) is about to end", details={"pid": os.getpid()})
        return self._reloading.begin()

    def start_front(self, fds: list[int], body: dict[str, Any]) -> Actor:
        """Fork a front for one agent."""
        return self._fronts.start_for(fds, body)

    def stop_front(self, actor: Actor) -> None:
        """Its agent is gone."""
        self._fronts.stop(actor)

    def attach(self) -> None:
        """Be what `ratchet up` would have started."""
        self._fronts.attach()

    def detach(self) -> None:
        """That `ratchet up` is gone."""
        if not self._ending.begun:
            self._fronts.detach()

    def clients_changed(self) -> None:
        """Stay for them, or think of leaving."""
        self._mind_idleness()

    # --- what actors tell -------------------------------------------------------------------------------------------

    def _on_state(self, actor: Actor) -> None:
        if actor.name == self._table.reports_to:
            self._on_reader(actor)
        if actor.state is State.FAILED:
            message = f"{actor.name} cannot be started: {actor.child.reason}"
            self._ending.fail(EXIT_STARTUP, StartupError(message))
        if actor.state is State.STOPPED:
            self._on_stopped(actor)
        if self._ending.begun:
            self._reloading.stop(self._ending.error or DrainingError("the supervisor ends; not all were replaced"))
        self._reloading.on_state(actor)
        self._ending.go_on()
        if not (self._reported or self._ending.begun) and self._all_running():
            self._reported = True
            self._report()

    def _on_reader(self, actor: Actor) -> None:
        """The one that is told of exits; it also knows whether there is work."""
        if actor.state is State.STARTING:
            self._said_busy = False
        elif actor.state is State.RUNNING:
            if not self._said_busy:
                self._busy = False
            self._exits.repeat(actor)
        self._mind_idleness()

    def _on_stopped(self, actor: Actor) -> None:
        if self._fronts.is_agents(actor):
            self._clients.front_ended(actor, *self._end_of_front(actor))
            self._children.remove(actor)
            self._mind_idleness()
        elif self._fronts.is_port(actor):
            self._children.remove(actor)

    def _end_of_front(self, actor: Actor) -> tuple[int, str]:
        """Exit code and reason for an agent's shim."""
        if not self._ending.begun:
            return self._fronts.end_of(actor)
        error = self._ending.error
        return (1, error.message) if error else (0, "the supervisor was stopped")

    def _on_message(self, actor: Actor, kind: str, body: dict[str, Any]) -> None:
        match kind:
            case "exit_seen":
                self._exits.acknowledge(str(body.get("name")), str(body.get("incarnation")))
            case "give_up":
                reason = str(body.get("reason"))
                self._say(f"ratchet: {reason}")
                self._ending.fail(EXIT_REFUSED, RefusedError(reason))
            case "busy":
                self._busy, self._said_busy = bool(body.get("busy")), True
                self._mind_idleness()
            case _:
                log.warning("an actor sent an unknown message", name=actor.name, kind=kind)

    def _on_exit(self, report: ExitReport) -> None:
        self._exits.add(report, self._children.actors.get(self._table.reports_to))
        self._orphans.expect()

    def _on_intensity(self, actor: Actor) -> None:
        limits = self._place.config.supervisor
        cause = actor.last_exit.cause if actor.last_exit else "unknown"
        error = StartupError(
            f"giving up: more than {limits.restart_intensity} restarts within {limits.restart_period_seconds:g} "
            f"seconds; the last to end was {actor.name} ({cause}); {self._place.config.data_dir / 'logs'} may tell why"
        )
        self._say(f"ratchet: {error.message}")
        self._ending.fail(EXIT_INTENSITY, error)

    # --- beginning and end ------------------------------------------------------------------------------------------

    def _handle_signals(self) -> None:
        self._loop.on_signal(signal.SIGCHLD, self._children.reap)
        self._loop.on_signal(signal.SIGTERM, lambda: self._on_stop_signal("SIGTERM"))
        self._loop.on_signal(signal.SIGINT, lambda: self._on_stop_signal("SIGINT"))
        if self._place.stays:
            self._loop.on_signal(signal.SIGHUP, lambda: self._on_stop_signal("SIGHUP"))
        else:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _on_stop_signal(self, name: str) -> None:
        if self._ending.begun:
            self._ending.insist(name)
        else:
            self._say("Stopping; a second Ctrl-C kills what is left.")
            self._ending.begin(name)

    def _on_drain_progress(self, waiting_for: list[str]) -> None:
        self._clients.tell("down", "draining", waiting_for=waiting_for)

    def _close(self) -> None:
        self._children.kill_all()
        while self._children.with_process():
            time.sleep(_REAP_SECONDS)
            self._children.reap()
        self._orphans.end_all(self._children.reap)
        self._place.project.control_path.unlink(missing_ok=True)
        self._clients.close(self._ending.error or DrainingError("the supervisor has just ended"))
        self._fronts.close()
        self._loop.close()
        log.info("the supervisor ends", exit_code=self._ending.exit_code)

    def _mind_idleness(self) -> None:
        """An on-demand supervisor without clients and without work leaves after a while."""
        idle = self._place.mode == "on-demand" and not (self._ending.begun or self._busy or self._clients.count())
        if not idle and self._idle_timer:
            self._idle_timer.cancel()
            self._idle_timer = None
        elif idle and self._idle_timer is None:
            seconds = self._place.config.supervisor.idle_exit_seconds
            self._idle_timer = self._loop.call_later(seconds, lambda: self._ending.begin("idle"))

    def _all_running(self) -> bool:
        actors = self._children.actors
        names = [*(spec.name for spec in self._table.always), *self._fronts.names]
        return all(name in actors and actors[name].state is State.RUNNING for name in names)

    def _report(self) -> None:
        status = SupervisorStatus.model_validate(self.status())
        log.info("up", ready_seconds=status.uptime_seconds, addresses=status.addresses)
        self._say(startup_report(status) + "Press Ctrl-C to stop.")

    def _say(self, text: str) -> None:
        """Tell the person at the terminal; an on-demand supervisor has none."""
        if self._place.stays:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()

    def _make_setup(self, actor: Actor, incarnation: str, control: socket.socket) -> ActorSetup:
        return ActorSetup(
            name=actor.name,
            incarnation=incarnation,
            project=self._place.project,
            config=self._place.config,
            control=control,
            sockets=self._fronts.sockets(actor),
            fds=tuple(actor.fds),
            extras=actor.extras,
            membership=self._place.membership,
        )


def _joined(place: Place) -> str | None:
    member = place.membership
    return None if member is None else f"{member.head}, as node {member.node}"


def _child_status(actor: Actor) -> ChildStatus:
    process, last = actor.process, actor.last_exit
    return ChildStatus(
        name=actor.name,
        state=actor.state,
        pid=process.pid if process else None,
        incarnation=process.incarnation if process else None,
        restarts=actor.child.restarts,
        uptime_seconds=round(time.monotonic() - process.started, 3) if process else None,
        ready_seconds=process.ready_seconds if process else None,
        info=process.info if process else {},
        error=actor.child.reason or None,
        last_exit=LastExit.of(last) if last else None,
    )
