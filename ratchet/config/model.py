"""The configuration: every key, its type, default and bounds. `config.example.yaml` says what each is for.

Knows nothing of files: `ratchet.config.loader` reads one, resolves what depends on the project, and fills this in.
"""

import sys
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr

from ratchet.config.cluster import ClusterConfig
from ratchet.config.llm import LlmConfig
from ratchet.config.mcp import McpConfig
from ratchet.config.places import Place
from ratchet.config.retention import RetentionConfig
from ratchet.config.section import Section
from ratchet.config.units import Bytes, Count, Seconds

EnvironmentName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class TasksConfig(Section):
    """Where tasks come from and what runs them."""

    paths: tuple[Place, ...] = Field(default=(Path("tasks"),), description="folders searched for task files")
    python: Place = Field(default=Path(sys.executable), description="interpreter that tasks run on")
    env: tuple[EnvironmentName, ...] = Field(
        default=(), description="names of environment variables that tasks get; they get no others of yours"
    )


class WorkersConfig(Section):
    """How much runs at a time: `count` times `children` executions."""

    count: Count = Field(
        default=2, ge=0, le=64, description="worker processes; 0 leaves all executions to nodes that joined"
    )
    children: Count = Field(default=4, ge=1, le=64, description="executions at a time in each worker")
    lease_seconds: Seconds = Field(
        default=30.0, ge=1, description="silence of a worker of this machine after which its executions are given up"
    )
    node_lease_seconds: Seconds = Field(
        default=600.0,
        ge=1,
        description="silence of a node's worker after which its executions are given up; within it, a node that lost "
        "the head may come back with what it finished",
    )


class LimitsConfig(Section):
    """What one execution may use."""

    memory_bytes: Bytes = Field(default=2**30, ge=64 * 2**20, description="memory an execution may allocate")
    cpu_seconds: Seconds = Field(default=300.0, ge=1, description="CPU time an execution may use")
    file_bytes: Bytes = Field(default=2**30, description="size of any file an execution writes")
    open_files: Count = Field(default=1024, ge=64, description="files an execution may have open at a time")
    output_bytes: Bytes = Field(default=4 * 2**20, le=4 * 2**20, description="size of an execution's output as JSON")
    timeout_seconds: Seconds = Field(
        default=300.0, gt=0, description="longest time an execution may take; a task may ask for less"
    )


class ExecutionsConfig(Section):
    """How executions wait, end, and share children."""

    queue_size: Count = Field(
        default=100, ge=1, description="executions that may wait for a free child; more are refused"
    )
    grace_seconds: Seconds = Field(
        default=5.0,
        le=300,
        description="time an execution gets to obey a cancel, and again to obey SIGTERM, before SIGKILL",
    )
    depth_max: Count = Field(
        default=16, ge=1, le=64, description="how deep tasks may call one another with `ctx.run`; deeper is refused"
    )
    child_reuse: Count = Field(default=100, ge=1, description="executions after which a child process is replaced")


class SupervisorConfig(Section):
    """How processes are kept alive and put to rest."""

    restart_intensity: Count = Field(
        default=10,
        ge=1,
        le=1000,
        description="restarts within the period after which the supervisor gives up (exit code 70)",
    )
    restart_period_seconds: Seconds = Field(default=60.0, gt=0, description="the period in which restarts are counted")
    drain_seconds: Seconds = Field(default=30.0, description="time running executions get to end at shutdown")
    idle_exit_seconds: Seconds = Field(
        default=5.0, description="how long a supervisor started on demand outlives its last client and execution"
    )


class LoggingConfig(Section):
    """What Ratchet's own processes log; what tasks log is always kept."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info",
        description="least severe messages of Ratchet's own processes that are recorded; tasks' logs always are",
    )


class Config(Section):
    """All of it."""

    data_dir: Place = Field(description="databases and log files")
    tasks: TasksConfig = TasksConfig()
    workers: WorkersConfig = WorkersConfig()
    limits: LimitsConfig = LimitsConfig()
    executions: ExecutionsConfig = ExecutionsConfig()
    supervisor: SupervisorConfig = SupervisorConfig()
    retention: RetentionConfig = RetentionConfig()
    logging: LoggingConfig = LoggingConfig()
    cluster: ClusterConfig = ClusterConfig()
    llm: LlmConfig = LlmConfig()
    mcp: McpConfig = McpConfig()

    _warnings: tuple[str, ...] = PrivateAttr(())

    @property
    def reaches_out(self) -> bool:
        """Whether tasks may ask an LLM or call other MCP servers: without, there is nothing for a gateway to do."""
        return self.asks_llm or self.calls_mcp

    @property
    def asks_llm(self) -> bool:
        """Whether it names an LLM that tasks may ask."""
        return bool(self.llm.order)

    @property
    def calls_mcp(self) -> bool:
        """Whether it names an MCP server that tasks may call."""
        return any(server.reached_by is not None for server in self.mcp.servers)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What loads but will not do what its author may expect, one sentence each."""
        return self._warnings

    def with_workers(self, count: int | None) -> "Config":
        """This configuration, with another number of workers where one is given."""
        if count is None:
            return self
        return self.model_copy(update={"workers": self.workers.model_copy(update={"count": count})})

    def with_warnings(self, warnings: tuple[str, ...]) -> "Config":
        """This configuration, with these warnings instead."""
        copy = self.model_copy()
        copy._warnings = warnings  # noqa: SLF001 - a copy of itself
        return copy
