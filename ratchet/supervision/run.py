"""A supervisor from its first fork to its last: starts the child table, serves clients, and ends for a reason.

Holds no data and resolves no secrets. What actors are there is `supervisor.py`'s table; how one lives and dies is
`ratchet.supervision.states`.
"""

import os
import signal
import socket
import sys
import time
from dataclasses import dataclass, replace
from typing import Any, Literal

import structlog

from ratchet.actor import ActorSetup
from ratchet.config import Config
from ratchet.errors import DrainingError, RatchetError, RefusedError, StartupError, UnavailableError
from ratchet.project import Project
from ratchet.supervision.children import Actor, Children, Observer
from ratchet.supervision.clients import Clients
from ratchet.supervision.exit_log import ExitLog
from ratchet.supervision.exits import ExitReport
from ratchet.supervision.loop import Loop, Timer
from ratchet.supervision.orphans import Orphans
from ratchet.supervision.report import startup_report
from ratchet.supervision.resources import bind_http, http_url
from ratchet.supervision.restart import RestartPolicy
from ratchet.supervision.spec import ChildTable
from ratchet.supervision.states import State
from ratchet.supervision.status import ChildStatus, LastExit, SupervisorStatus
from ratchet.version import VERSION

Mode = Literal["up", "on-demand"]

EXIT_STARTUP = 1
EXIT_INTENSITY = 70
HTTP_SOCKET = "http"
# A front whose agent is gone has nothing left to finish.
_FRONT_GRACE_SECONDS = 2.0
# Clients that waited through a cold start are served before anything else is started.
_GREETING_ROUNDS = 3

log = structlog.stdlib.get_logger("ratchet.supervisor")


@dataclass(frozen=True, slots=True)
class Place:
    """What a supervisor was given to work with."""

    project: Project
    config: Config
    mode: Mode
    listener: socket.socket


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
        self._clients = Clients(self._loop, place.listener, self)
        self._http: socket.socket | None = None
        self._started = time.monotonic()
        self._front_number = 0
        self._busy = False
        self._reported = False
        self._draining = False
        self._insisting = False
        self._exit_code = 0
        self._error: RatchetError | None = None
        self._idle_timer: Timer | None = None

    def run(self) -> int:
        """Start everything and return the exit code when the last process is gone.

        Raises:
            StartupError: Something that is needed could not be had, or an actor could not be started.
        """
        self._handle_signals()
        if self._wants_http():
            self._http = bind_http(self._place.config)
        try:
            if self._place.mode == "on-demand":
                for _ in range(_GREETING_ROUNDS):
                    self._loop.poll()
            for spec in sorted(self._table.always, key=lambda spec: spec.stage):
                self._children.start(spec)
            if self._http:
                self._children.start(self._table.http_front)
            self._mind_idleness()
            self._loop.run()
        finally:
            self._close()
        if self._error is not None and self._exit_code == EXIT_STARTUP:
            raise self._error
        return self._exit_code

    # --- what clients need (clients.Desk) ---------------------------------------------------------------------------

    def check(self, body: dict[str, Any]) -> None:
        """Refuse clients of another version or configuration, naming both, and everybody while draining."""
        project = self._place.project
        where = f"the supervisor of {project.folder} (pid {os.getpid()})"
        if self._draining:
            raise DrainingError(f"{where} is about to end", details={"pid": os.getpid()})
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
        place = self._place
        return SupervisorStatus(
            project=str(place.project.folder),
            config_path=str(place.project.config_path) if place.project.config_path else None,
            config_digest=place.project.config_digest,
            data_dir=str(place.config.data_dir),
            version=VERSION,
            pid=os.getpid(),
            mode=place.mode,
            uptime_seconds=round(time.monotonic() - self._started, 3),
            draining=self._draining,
            busy=self._busy,
            addresses=[http_url(self._http)] if self._http else [],
            children=[_child_status(actor) for actor in self._children.actors.values()],
            clients=self._clients.count("stdio", "attach"),
            warnings=list(place.config.warnings),
        ).model_dump(mode="json")

    def drain(self, reason: str) -> None:
        """Finish: fronts first, the task-runner last."""
        self._end(0, reason)

    def start_front(self, fds: list[int], body: dict[str, Any]) -> Actor:
        """Fork a front for one agent.

        Raises:
            UnavailableError: No process can be forked.
        """
        self._front_number += 1
        spec = replace(self._table.stdio_front, name=f"{self._table.stdio_front.name}:{self._front_number}")
        actor = self._children.start(spec, fds=fds, extras={"client": body})
        if actor.process is None:
            raise UnavailableError(_error_text(actor) or "no front can be started")
        return actor

    def stop_front(self, actor: Actor) -> None:
        """Its agent is gone."""
        self._children.drain(actor, _FRONT_GRACE_SECONDS)

    def attach(self) -> None:
        """Open the port, as `ratchet up` would have.

        Raises:
            RefusedError: A `ratchet up` runs already.
            StartupError: The port is not to be had.
            UnavailableError: The front of an earlier one is still about to end.
        """
        if self._place.mode == "up":
            raise RefusedError(
                f"a supervisor of {self._place.project.folder} is up already, with pid {os.getpid()}: "
                "`ratchet status` shows it, `ratchet down` ends it"
            )
        if self._http is None and self._place.config.mcp.server.serves_http:
            if self._table.http_front.name in self._children.actors:
                raise UnavailableError("an earlier `ratchet up` is still detaching: try again in a moment")
            self._http = bind_http(self._place.config)
            self._children.start(self._table.http_front)

    def detach(self) -> None:
        """Close the port again, unless the configuration itself asks for it."""
        if self._http is None or self._wants_http() or self._draining:
            return
        self._http.close()
        self._http = None
        self._children.drain(self._children.actors[self._table.http_front.name])

    def clients_changed(self) -> None:
        """Stay for them, or think of leaving."""
        self._mind_idleness()

    # --- what the children tell -------------------------------------------------------------------------------------

    def _on_state(self, actor: Actor) -> None:
        if actor.name == self._table.reports_to:
            self._on_reader(actor)
        if actor.state is State.FAILED and not self._draining:
            self._error = StartupError(f"{actor.name} cannot be started: {_error_text(actor)}")
            self._end(EXIT_STARTUP, self._error.message)
        if actor.state is State.STOPPED:
            self._on_stopped(actor)
        if self._draining:
            self._loop.call_later(0, self._drain_on)
        elif not self._reported and self._all_running():
            self._reported = True
            self._report()

    def _on_reader(self, actor: Actor) -> None:
        """The one that is told of exits; it also knows whether there is work."""
        if actor.state is State.RUNNING and actor.process:
            self._busy = bool(actor.process.info.get("busy"))
            self._exits.repeat(actor)
        self._mind_idleness()

    def _on_stopped(self, actor: Actor) -> None:
        if actor.spec.start is self._table.stdio_front.start:
            code, reason = self._front_end(actor)
            self._clients.front_ended(actor, code, reason)
            self._children.remove(actor)
            self._mind_idleness()
        elif actor.name == self._table.http_front.name and not self._draining:
            self._children.remove(actor)

    def _front_end(self, actor: Actor) -> tuple[int, str]:
        """Exit code and reason for the shim of a front that is gone."""
        if self._draining:
            return (1, self._error.message) if self._error else (0, "the supervisor was stopped")
        if actor.child.error:
            return 1, f"the MCP front cannot start: {_error_text(actor)}"
        if actor.last_exit is None or actor.last_exit.exit_code == 0:
            return 0, ""
        logs = self._place.config.data_dir / "logs"
        return 1, f"the MCP front ended with {actor.last_exit.cause}; executions go on; see {logs}"

    def _on_message(self, actor: Actor, kind: str, body: dict[str, Any]) -> None:
        match kind:
            case "exit_seen":
                self._exits.acknowledge(str(body.get("name")), str(body.get("incarnation")))
            case "busy":
                self._busy = bool(body.get("busy"))
                self._mind_idleness()
            case _:
                log.warning("an actor sent an unknown message", name=actor.name, kind=kind)

    def _on_exit(self, report: ExitReport) -> None:
        self._exits.add(report, self._children.actors.get(self._table.reports_to))
        self._orphans.expect()

    def _on_intensity(self, actor: Actor) -> None:
        limits = self._place.config.supervisor
        cause = actor.last_exit.cause if actor.last_exit else "unknown"
        self._error = StartupError(
            f"giving up: more than {limits.restart_intensity} restarts within {limits.restart_period_seconds:g} "
            f"seconds; the last to end was {actor.name} ({cause}); see {self._place.config.data_dir / 'logs'}"
        )
        self._end(EXIT_INTENSITY, self._error.message)

    # --- beginning and end ------------------------------------------------------------------------------------------

    def _handle_signals(self) -> None:
        self._loop.on_signal(signal.SIGCHLD, self._children.reap)
        self._loop.on_signal(signal.SIGTERM, lambda: self._on_stop_signal("SIGTERM"))
        self._loop.on_signal(signal.SIGINT, lambda: self._on_stop_signal("SIGINT"))
        if self._place.mode == "up":
            self._loop.on_signal(signal.SIGHUP, lambda: self._on_stop_signal("SIGHUP"))
        else:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _on_stop_signal(self, name: str) -> None:
        if not self._draining:
            self._say("Stopping; a second Ctrl-C kills what is left.")
            self._end(0, name)
        else:
            self._insist(name)

    def _insist(self, reason: str) -> None:
        log.warning("killing what is left", reason=reason)
        self._insisting = True
        self._children.kill_all()

    def _end(self, exit_code: int, reason: str) -> None:
        if self._draining:
            return
        self._draining, self._exit_code = True, exit_code
        (log.error if exit_code else log.info)("draining", reason=reason)
        if exit_code == EXIT_INTENSITY:
            self._say(reason)
        # Not from within: an actor's state may just be changing.
        self._loop.call_later(0, self._drain_on)

    def _drain_on(self) -> None:
        """Drain the latest stage that still has processes, or end when none has."""
        alive = [actor for actor in self._children.actors.values() if not _is_over(actor)]
        if not alive:
            self._loop.stop()
            return
        stage = max(actor.spec.stage for actor in alive)
        waiting = [actor for actor in alive if actor.spec.stage == stage]
        fresh = [actor for actor in waiting if actor.state in (State.STARTING, State.RUNNING, State.BACKOFF)]
        if fresh:
            self._clients.tell("down", "draining", waiting_for=[actor.name for actor in waiting])
        for actor in fresh:
            self._children.drain(actor)
        if self._insisting:
            self._children.kill_all()

    def _close(self) -> None:
        self._children.kill_all()
        while self._children.with_process():
            signal.sigtimedwait({signal.SIGCHLD}, 0.05)
            self._children.reap()
        self._orphans.end_all(self._children.reap)
        self._place.project.control_path.unlink(missing_ok=True)
        self._clients.close(self._error or DrainingError("the supervisor has just ended"))
        if self._http:
            self._http.close()
        self._loop.close()
        log.info("the supervisor ends", exit_code=self._exit_code)

    def _mind_idleness(self) -> None:
        """An on-demand supervisor without clients and without work leaves after a while."""
        idle = self._place.mode == "on-demand" and not (self._draining or self._busy or self._clients.count())
        if not idle and self._idle_timer:
            self._idle_timer.cancel()
            self._idle_timer = None
        elif idle and self._idle_timer is None:
            self._idle_timer = self._loop.call_later(
                self._place.config.supervisor.idle_exit_seconds, lambda: self._end(0, "idle")
            )

    def _all_running(self) -> bool:
        names = [spec.name for spec in self._table.always]
        if self._http:
            names.append(self._table.http_front.name)
        actors = self._children.actors
        return all(name in actors and actors[name].state is State.RUNNING for name in names)

    def _report(self) -> None:
        status = SupervisorStatus.model_validate(self.status())
        log.info("up", ready_seconds=status.uptime_seconds, addresses=status.addresses)
        if self._place.mode == "up":
            self._say(startup_report(status) + "Press Ctrl-C to stop.")

    def _say(self, text: str) -> None:
        """Tell the person at the terminal; an on-demand supervisor has none."""
        if self._place.mode == "up":
            sys.stderr.write(text + "\n")
            sys.stderr.flush()

    def _wants_http(self) -> bool:
        server = self._place.config.mcp.server
        if self._place.mode == "on-demand":
            return server.serves_http and "transport" in server.model_fields_set
        return server.serves_http

    def _make_setup(self, actor: Actor, incarnation: str, control: socket.socket) -> ActorSetup:
        sockets = {HTTP_SOCKET: self._http} if self._http and HTTP_SOCKET in actor.spec.wants else {}
        return ActorSetup(
            name=actor.name,
            incarnation=incarnation,
            project=self._place.project,
            config=self._place.config,
            control=control,
            sockets=sockets,
            fds=tuple(actor.fds),
            extras=actor.extras,
        )


def _is_over(actor: Actor) -> bool:
    return actor.state in (State.STOPPED, State.FAILED)


def _error_text(actor: Actor) -> str:
    error = actor.child.error or {}
    return str(error.get("message", ""))


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
        error=_error_text(actor) or None,
        last_exit=None
        if last is None
        else LastExit.model_validate({key: value for key, value in last.to_body().items() if key != "name"}),
    )
