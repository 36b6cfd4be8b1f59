"""The front's process: over HTTP for everybody, or over stdio for one agent."""

import time
from typing import Literal

from actors.mcp_front.answers.answer_cache import AnswerCache
from actors.mcp_front.audit import AuditTrail
from actors.mcp_front.front import Front
from actors.mcp_front.links import Links
from actors.mcp_front.naming import ToolNames
from actors.mcp_front.protocol.exposed import Exposed
from actors.mcp_front.state_key import project_key
from actors.mcp_front.transports import http, stdio
from actors.mcp_front.wording import Wording
from ipc.link import Request
from ratchet import rpc
from ratchet.actor import ActorHost, ActorSetup, run_actor
from ratchet.bodies.common import Empty
from ratchet.bodies.health import Health
from ratchet.health import ProcessHealth
from ratchet.messages import APPEND_AUDIT, GET_HEALTH, TOOLS_CHANGED, AppendAudit, ToolsChanged
from ratchet.policy.profiles import Profiles, http_profiles, stdio_profiles
from ratchet.supervision.resources import http_url

HTTP_SOCKET = "http"
_APPEND_SECONDS = 10.0


async def main_http(host: ActorHost) -> None:
    """Serve the port until drained.

    Raises:
        ConfigError: An API key cannot be resolved.
    """
    listener = host.setup.sockets[HTTP_SOCKET]
    url = http_url(listener)
    profiles = http_profiles(host.setup.config.mcp.server)
    front = _front(host, Links(url.removesuffix(http.PATH)), profiles, "http")
    app = http.make_app(front, host.setup.config.mcp.server, host.drain)
    host.ready(url=url)
    await http.serve(app, listener, host.drain, front.waits)
    await host.farewell()
    await front.finish()


async def main_stdio(host: ActorHost) -> None:
    """Serve one agent until its stdin ends or the front is drained."""
    stdin, stdout, *_ = host.setup.fds
    profiles = stdio_profiles(host.setup.config.mcp.server)
    front = _front(host, Links(host.setup.extras.get("http_address")), profiles, "stdio")
    host.ready()
    await stdio.serve(front, stdin, stdout, host.drain)
    await host.farewell()
    await front.finish()


def _front(host: ActorHost, links: Links, profiles: Profiles, transport: Literal["http", "stdio"]) -> Front:
    process = ProcessHealth(host.setup.name)
    config = host.setup.config.mcp.server

    async def health(_body: Empty, _request: Request) -> Health:
        return process.report(counters=front.counters)

    async def append(batch: AppendAudit) -> Empty:
        return await rpc.call(link, APPEND_AUDIT, batch, timeout_seconds=_APPEND_SECONDS)

    async def tools_changed(body: ToolsChanged, _request: Request) -> Empty:
        await front.notifications.tasks_changed(body.tasks)
        if front.exposed.is_news(body.revision):  # a runner that starts anew cannot know whether it is
            await front.notifications.tools_changed()
            host.own(front.exposed.learn(profiles.all), name="exposed tasks")
        return Empty()

    link = host.connect(rpc.methods({GET_HEALTH: health, TOOLS_CHANGED: tools_changed}))
    audit = AuditTrail(append, enabled=config.security.audit_log_enabled)
    host.own(audit.run(), name="audit trail")
    front = Front(
        link=link,
        wording=Wording(ToolNames(config.tool_names), links, config.wait_seconds_max),
        health=process,
        own=lambda work, name: host.own(work, name=name),
        profiles=profiles,
        audit=audit,
        transport=transport,
        exposed=Exposed(link, enabled=bool(config.expose_tasks)),
        finished_logs=AnswerCache(config.performance.log_cache_ttl or 0, time.monotonic),
        reaches_out=host.setup.config.reaches_out,
        log_entries_max=config.security.max_log_entries,
        state_key=project_key(host.setup.config.data_dir),
        connection=f"stdio-{host.setup.incarnation}",
    )
    host.own(front.exposed.learn(profiles.all), name="exposed tasks")
    return front


def start(setup: ActorSetup) -> None:
    """Be the front of the port."""
    run_actor(setup, main_http)


def start_stdio(setup: ActorSetup) -> None:
    """Be the front of one agent."""
    run_actor(setup, main_stdio)
