"""What a supervisor says of itself to a client: typed here once, for both ends."""

from typing import Any, Literal

from pydantic import Field

from ratchet.models import Model
from ratchet.supervision.exits import ExitReport, describe
from ratchet.supervision.states import State


class LastExit(Model):
    """How the latest process of an actor ended."""

    pid: int
    incarnation: str
    exit_code: int | None
    signal: int | None
    cpu_seconds: float
    memory_bytes_max: int
    at_ns: int

    @classmethod
    def of(cls, report: ExitReport) -> "LastExit":
        """What a status says of an exit."""
        return cls.model_validate({name: getattr(report, name) for name in cls.model_fields})

    @property
    def cause(self) -> str:
        """In words: `exit code 1`, `SIGKILL`."""
        return describe(self.exit_code, self.signal)


class ChildStatus(Model):
    """One actor.

    Attributes:
        uptime_seconds: Since its process was forked; None without one.
        ready_seconds: From fork to ready; None while it is not ready.
        info: What the process said when it got ready.
        error: Why its newest start failed.
    """

    name: str
    state: State
    pid: int | None = None
    incarnation: str | None = None
    restarts: int = 0
    uptime_seconds: float | None = None
    ready_seconds: float | None = None
    info: dict[str, Any] = Field(default_factory=dict[str, Any])
    error: str | None = None
    last_exit: LastExit | None = None


class SupervisorStatus(Model):
    """The whole supervisor.

    Attributes:
        project: The project's folder.
        addresses: Where MCP clients connect over HTTP.
        head: On a worker-only node: where its head is, and its name there.
        clients: Open connections of agents and of an attached `ratchet up`.
        warnings: What the configuration's author should know.
    """

    project: str
    config_path: str | None
    config_digest: str
    data_dir: str
    version: str
    pid: int
    mode: Literal["up", "on-demand", "node"]
    uptime_seconds: float
    draining: bool
    busy: bool
    addresses: list[str]
    head: str | None = None
    children: list[ChildStatus]
    clients: int
    warnings: list[str] = Field(default_factory=list[str])

    @property
    def set_aside(self) -> list[str]:
        """Damaged store files that others took the place of, when their actors started."""
        return [str(path) for child in self.children for path in child.info.get("set_aside", ())]
