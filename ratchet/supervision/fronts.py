"""The MCP fronts of a supervisor: a temporary one per agent on stdio, and the one that serves the port."""

import os
import socket
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ratchet.errors import RefusedError, UnavailableError
from ratchet.supervision.children import Actor, Children
from ratchet.supervision.place import Place
from ratchet.supervision.resources import bind_http, http_addresses
from ratchet.supervision.spec import ChildTable

HTTP_SOCKET = "http"
# A front whose agent is gone has nothing left to finish.
_GRACE_SECONDS = 2.0


class Fronts:
    """Starts and ends them; owns the listening socket, which outlives the processes that accept from it."""

    def __init__(self, table: ChildTable, place: Place, children: Children) -> None:
        self._table = table
        self._place = place
        self._children = children
        self._listener: socket.socket | None = None
        self._number = 0

    @property
    def addresses(self) -> list[str]:
        """Where MCP clients connect over HTTP."""
        return http_addresses(self._listener, self._place.config) if self._listener else []

    @property
    def names(self) -> list[str]:
        """The fronts that should run now, apart from the agents'."""
        return [self._table.http_front.name] if self._listener else []

    def sockets(self, actor: Actor) -> Mapping[str, socket.socket]:
        """The listening sockets that this actor is handed."""
        return {HTTP_SOCKET: self._listener} if self._listener and HTTP_SOCKET in actor.spec.wants else {}

    def bind(self) -> None:
        """Take the port, where the configuration wants one.

        Raises:
            StartupError: It is not to be had.
        """
        if self._wants_port():
            self._listener = bind_http(self._place.config)

    def start(self) -> None:
        """Start the front of the port, if there is one."""
        if self._listener:
            self._children.start(self._table.http_front)

    def close(self) -> None:
        """Close the port."""
        if self._listener:
            self._listener.close()
            self._listener = None

    def is_agents(self, actor: Actor) -> bool:
        """Whether this is the front of an agent on stdio."""
        return actor.name.startswith(f"{self._table.stdio_front.name}:")

    def is_port(self, actor: Actor) -> bool:
        """Whether this is the front that serves the port."""
        return actor.name == self._table.http_front.name

    def start_for(self, fds: list[int], body: dict[str, Any]) -> Actor:
        """Fork a front for one agent; takes over the descriptors of its standard streams.

        Raises:
            UnavailableError: No process can be forked.
        """
        self._number += 1
        spec = replace(self._table.stdio_front, name=f"{self._table.stdio_front.name}:{self._number}")
        address = self.addresses[0].removesuffix("/mcp") if self._listener else None
        actor = self._children.start(spec, fds=fds, extras={"client": body, "http_address": address})
        if actor.process is None:
            raise UnavailableError(actor.child.reason or "no front can be started")
        return actor

    def stop(self, actor: Actor) -> None:
        """The agent of this front is gone."""
        self._children.drain(actor, _GRACE_SECONDS)

    def end_of(self, actor: Actor) -> tuple[int, str]:
        """Exit code and reason for the shim of an agent's front that ended by itself."""
        if actor.child.error:
            return 1, f"the MCP front cannot start: {actor.child.reason}"
        if actor.last_exit is None or actor.last_exit.exit_code == 0:
            return 0, ""
        logs = self._place.config.data_dir / "logs"
        return 1, f"the MCP front ended with {actor.last_exit.cause}; executions go on; {logs} may tell why"

    def attach(self) -> None:
        """Open the port as `ratchet up` would have done.

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
        if self._listener is None and self._place.config.mcp.server.serves_http:
            if self._table.http_front.name in self._children.actors:
                raise UnavailableError("an earlier `ratchet up` is still detaching: try again in a moment")
            self._listener = bind_http(self._place.config)
            self.start()

    def detach(self) -> None:
        """Close the port again, unless the configuration itself asks for it."""
        if self._listener is not None and not self._wants_port():
            self.close()
            self._children.drain(self._children.actors[self._table.http_front.name])

    def _wants_port(self) -> bool:
        """A supervisor that an agent started opens a port only where the configuration says so in words."""
        server = self._place.config.mcp.server
        return server.serves_http and (self._place.mode == "up" or "transport" in server.model_fields_set)
