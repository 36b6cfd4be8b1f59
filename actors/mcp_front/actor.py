"""The front's process: over HTTP for everybody, or over stdio for one agent."""

from actors.mcp_front import http, stdio
from actors.mcp_front.front import Front
from actors.mcp_front.links import Links
from actors.mcp_front.naming import ToolNames
from actors.mcp_front.wording import Wording
from ipc.link import Request
from ratchet import rpc
from ratchet.actor import ActorHost, ActorSetup, run_actor
from ratchet.health import ProcessHealth
from ratchet.messages import GET_HEALTH, Empty, Health
from ratchet.supervision.resources import http_url

HTTP_SOCKET = "http"


async def main_http(host: ActorHost) -> None:
    """Serve the port until drained.

    Raises:
        ConfigError: An API key cannot be resolved.
    """
    listener = host.setup.sockets[HTTP_SOCKET]
    url = http_url(listener)
    front = _front(host, Links(url.removesuffix(http.PATH)))
    app = http.make_app(front, host.setup.config.mcp.server, host.drain)
    host.ready(url=url)
    await http.serve(app, listener, host.drain, front.waits)
    await front.finish()


async def main_stdio(host: ActorHost) -> None:
    """Serve one agent until its stdin ends or the front is drained."""
    stdin, stdout, *_ = host.setup.fds
    front = _front(host, Links(host.setup.extras.get("http_address")))
    host.ready()
    await stdio.serve(front, stdin, stdout, host.drain)
    await front.finish()


def _front(host: ActorHost, links: Links) -> Front:
    process = ProcessHealth(host.setup.name)
    config = host.setup.config.mcp.server

    async def health(_body: Empty, _request: Request) -> Health:
        return process.report(counters=dict(link.counters))

    link = host.connect(rpc.methods({GET_HEALTH: health}))
    return Front(
        link=link,
        wording=Wording(ToolNames(config.tool_names), links, config.wait_seconds_max),
        health=process,
        own=lambda work, name: host.own(work, name=name),
        connection=f"stdio-{host.setup.incarnation}",
    )


def start(setup: ActorSetup) -> None:
    """Be the front of the port."""
    run_actor(setup, main_http)


def start_stdio(setup: ActorSetup) -> None:
    """Be the front of one agent."""
    run_actor(setup, main_stdio)
