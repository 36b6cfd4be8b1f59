"""The `mcp` part of the configuration: the server that agents talk to, and the servers that tasks may talk to."""

from typing import Annotated, Literal

from pydantic import Field

from ratchet.config.address import Address, BindAddress, parse_address
from ratchet.config.secrets import Secret
from ratchet.config.section import Section
from ratchet.config.units import Count, Seconds

Name = Annotated[str, Field(min_length=1, max_length=100)]


class RemoteServerConfig(Section):
    """An MCP server that tasks may use."""

    name: Name = Field(description="what tasks call the server")
    transport: Literal["stdio", "http"] | None = Field(default=None, description="how to reach the server")
    command: str | None = Field(default=None, description="program to start, for `stdio`")
    args: tuple[str, ...] = Field(default=(), description="arguments of that program")
    env: dict[str, Secret] = Field(default={}, description="environment variables of that program")
    url: str | None = Field(default=None, description="address of the server, for `http`")
    headers: dict[str, Secret] = Field(default={}, description="HTTP headers to send, for `http`")
    timeout_seconds: Seconds = Field(default=60.0, gt=0, le=3600, description="longest time one call may take")

    @property
    def reached_by(self) -> Literal["stdio", "http"] | None:
        """How to reach it, where the configuration does not say it in a word; None: not at all."""
        if self.transport is not None:
            return self.transport
        if self.command is not None:
            return "stdio"
        return None if self.url is None else "http"


class PermissionsConfig(Section):
    """What a client may do."""

    can_execute_tasks: bool = Field(default=True, description="whether the client may run and cancel tasks")
    can_read_logs: bool = Field(default=True, description="whether the client may read logs")
    can_read_traces: bool = Field(default=True, description="whether the client may read traces")
    allowed_task_patterns: tuple[str, ...] = Field(
        default=("*",), description="ids of tasks that the client may see and run, `*` as a wildcard"
    )
    rate_limits: dict[str, str] = Field(
        default={}, description="calls of a tool that the client may make, such as `execute_task: 10/minute`"
    )


class ApiKeyConfig(Section):
    """One client of the HTTP front."""

    key: Secret = Field(description="what the client sends to prove who it is, 16 characters or more")
    name: Name = Field(description="what the client is called in records")
    permissions: PermissionsConfig = PermissionsConfig()


class AuthConfig(Section):
    """Who may talk to the HTTP front."""

    type: Literal["none", "api_key", "oauth2"] = Field(
        default="none", description="how clients of the HTTP server prove who they are"
    )
    api_keys: tuple[ApiKeyConfig, ...] = Field(default=(), description="the clients, one entry each")


class StdioConfig(Section):
    """The agents that start `ratchet stdio`: there is nothing to authenticate, but they have a profile as well."""

    permissions: PermissionsConfig = PermissionsConfig()


class SecurityConfig(Section):
    """What no client may exceed."""

    max_execution_time: Seconds | None = Field(default=None, gt=0, description="the same as `limits.timeout_seconds`")
    max_log_entries: Count | None = Field(default=None, ge=1, description="most log records in one answer")
    allow_dangerous_tasks: bool = Field(
        default=False, description="whether clients see and run tasks marked `dangerous`; `ratchet run` always does"
    )
    audit_log_enabled: bool = Field(
        default=True, description="whether every call and refusal is recorded, for `ratchet audit`"
    )


class PerformanceConfig(Section):
    """How much clients may ask of the server."""

    max_concurrent_executions_per_client: Count | None = Field(
        default=None, ge=1, description="unfinished executions that a client may have at a time"
    )
    execution_queue_size: Count | None = Field(default=None, ge=1, description="the same as `executions.queue_size`")
    log_cache_ttl: Seconds | None = Field(
        default=None, description="how long answers about logs of finished executions are kept and given again"
    )


class SessionsConfig(Section):
    """Sessions of HTTP and SSE; the newest protocol has none."""

    max: Count = Field(default=1000, ge=1, description="sessions that may be open at a time; the next gets 503")
    max_per_client: Count = Field(
        default=200, ge=1, description="sessions that a client may have open at a time; its next gets 429"
    )
    idle_seconds: Seconds = Field(
        default=1800.0,
        gt=0,
        description="a session ends after so long without a message; at `/mcp` an open stream keeps it",
    )


class ServerConfig(Section):
    """The MCP server."""

    enabled: bool = Field(default=True, description="whether there is an HTTP server at all")
    transport: Literal["http", "sse", "stdio"] = Field(
        default="http",
        description="`http`: Streamable HTTP at `/mcp`; `sse`: the older transport at `/sse` as well; "
        "`stdio`: no port, only `ratchet stdio`",
    )
    bind_address: BindAddress = Field(
        default="127.0.0.1:8090", description="host and port of the HTTP server; port 0 takes a free one"
    )
    tool_names: Literal["underscore", "dotted"] = Field(
        default="underscore",
        description="how tools are listed: `execute_task` or `ratchet.execute_task`; both are understood",
    )
    expose_tasks: tuple[str, ...] = Field(
        default=(), description="ids of tasks that are tools of their own as well, `*` as a wildcard"
    )
    wait_seconds_max: Seconds = Field(default=55.0, le=3600, description="longest time one call may wait for a result")
    auth: AuthConfig = AuthConfig()
    stdio: StdioConfig = StdioConfig()
    security: SecurityConfig = SecurityConfig()
    performance: PerformanceConfig = PerformanceConfig()
    sessions: SessionsConfig = SessionsConfig()

    @property
    def address(self) -> Address:
        """`bind_address` in its parts."""
        return parse_address(self.bind_address)

    @property
    def serves_http(self) -> bool:
        """Whether there is an HTTP server: with `stdio` alone there is no port."""
        return self.enabled and self.transport != "stdio"


class McpConfig(Section):
    """Both directions."""

    servers: tuple[RemoteServerConfig, ...] = Field(default=(), description="MCP servers that tasks may use")
    server: ServerConfig = ServerConfig()
