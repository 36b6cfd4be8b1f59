"""Who talks to the supervisor over its Unix socket: agents' shims, `ratchet status`, `down`, an attaching `up`.

A client says one thing: `stdio` with three descriptors, `status`, `reload`, `down` or `attach`. The answer is
`accepted` or `refused`, or the status; a connection that stays open keeps an on-demand supervisor up.
"""

import os
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from ratchet.channel import ChannelError, encode
from ratchet.errors import RatchetError, RefusedError, UnavailableError
from ratchet.supervision.children import Actor
from ratchet.supervision.connection import Connection, close_all
from ratchet.supervision.loop import Loop, Timer

# A client says what it wants at once; one that does not is no client.
FIRST_MESSAGE_SECONDS_MAX = 10.0
CLIENTS_MAX = 256
_STANDARD_STREAMS = 3
_ACCEPTED_AT_ONCE_MAX = 64
_PAUSE_SECONDS = 0.2

log = structlog.stdlib.get_logger("ratchet.supervisor")


class Desk(Protocol):
    """What the clients' requests need of the supervisor."""

    def check(self, body: dict[str, Any]) -> None:
        """Raises a RatchetError where this client cannot be served by this supervisor."""
        ...

    def status(self) -> dict[str, Any]:
        """The body of a status answer."""
        ...

    def drain(self, reason: str) -> None:
        """Finish everything and end."""
        ...

    def reload(self) -> list[str]:
        """Begin to replace the workers; returns their names."""
        ...

    def start_front(self, fds: list[int], body: dict[str, Any]) -> Actor:
        """Fork a front that serves these standard streams; takes over the descriptors, whatever happens."""
        ...

    def attach(self) -> None:
        """Become what `ratchet up` would have started."""
        ...

    def clients_changed(self) -> None:
        """A client came or went."""
        ...

    def stop_front(self, actor: Actor) -> None:
        """The client of this front is gone."""
        ...

    def detach(self) -> None:
        """Go back to what was before `attach`."""
        ...


@dataclass(eq=False, slots=True)
class Client:
    """One connection; `kind` is what it asked for."""

    connection: Connection = field(init=False)
    kind: str = ""
    front: Actor | None = None
    timer: Timer | None = None
    since: float = field(default_factory=time.monotonic)


class Clients:
    """Every open connection."""

    def __init__(self, loop: Loop, listener: socket.socket, desk: Desk) -> None:
        self._loop = loop
        self._listener = listener
        self._desk = desk
        self._clients: set[Client] = set()
        self._closed = False
        listener.setblocking(False)
        self._listen()

    def count(self, *kinds: str) -> int:
        """How many clients of these kinds there are; of any kind that asked for something, without."""
        return sum(client.kind in kinds if kinds else bool(client.kind) for client in self._clients)

    def tell(self, kind: str, message: str, **body: Any) -> None:
        """Send a message to every client that asked for `kind`."""
        for client in [one for one in self._clients if one.kind == kind]:
            client.connection.send(message, **body)

    def refuse(self, kind: str, error: RatchetError) -> None:
        """End the business of every client that asked for `kind`, and say why."""
        for client in [one for one in self._clients if one.kind == kind]:
            client.connection.send("refused", error=error_body(error))
            self._forget(client)

    def front_ended(self, actor: Actor, exit_code: int, reason: str) -> None:
        """The front of a client is gone: so is the client's business."""
        for client in [one for one in self._clients if one.front is actor]:
            client.front = None
            client.connection.send("ended", exit_code=exit_code, reason=reason)
            self._forget(client)

    def close(self, error: RatchetError) -> None:
        """Turn away whoever is still in the queue, and listen no more."""
        self._accept()
        self._closed = True
        for client in list(self._clients):
            if not client.kind:
                client.connection.send("refused", error=error_body(error))
        self._loop.unwatch(self._listener.fileno())
        self._listener.close()

    def _listen(self) -> None:
        if not self._closed:
            self._loop.watch(self._listener.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_AT_ONCE_MAX):
            try:
                sock, _address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:  # out of descriptors, most likely: the client would be announced again and again
                log.warning("a client cannot be accepted", error=str(error))
                self._loop.unwatch(self._listener.fileno())
                self._loop.call_later(_PAUSE_SECONDS, self._listen)
                return
            if not _is_ours(sock):
                sock.close()
            elif len(self._clients) >= CLIENTS_MAX:
                _turn_away(sock, UnavailableError(f"the supervisor has {CLIENTS_MAX} clients already: try again later"))
            else:
                self._welcome(sock)

    def _welcome(self, sock: socket.socket) -> None:
        client = Client()
        client.connection = Connection(
            self._loop,
            sock,
            on_message=lambda kind, body: self._on_message(client, kind, body),
            on_close=lambda: self._on_close(client),
        )
        client.timer = self._loop.call_later(FIRST_MESSAGE_SECONDS_MAX, lambda: self._forget(client))
        self._clients.add(client)

    def _on_message(self, client: Client, kind: str, body: dict[str, Any]) -> None:
        if client.kind:
            log.warning("a client said more than it may", kind=kind, after=client.kind)
            self._on_close(client)
            return
        if client.timer:
            client.timer.cancel()
        try:
            self._serve(client, kind, body)
        except RatchetError as error:
            client.connection.send("refused", error=error_body(error))
            self._forget(client)
        self._desk.clients_changed()

    def _serve(self, client: Client, kind: str, body: dict[str, Any]) -> None:
        match kind:
            case "status":
                client.kind = kind
                client.connection.send("status", **self._desk.status())
            case "down":
                client.kind = kind
                client.connection.send("accepted", pid=os.getpid())
                self._desk.drain("`ratchet down`")
            case "reload":
                workers = self._desk.reload()
                client.kind = kind
                client.connection.send("accepted", pid=os.getpid(), workers=workers)
            case "stdio":
                self._serve_stdio(client, body)
            case "attach":
                self._desk.check(body)
                self._desk.attach()
                client.kind = kind
                client.connection.send("accepted", **self._desk.status())
            case _:
                raise RefusedError(f"the supervisor knows no request {kind[:50]!r}")

    def _serve_stdio(self, client: Client, body: dict[str, Any]) -> None:
        try:
            fds = client.connection.take_fds(_STANDARD_STREAMS)
        except ChannelError as error:
            raise RefusedError(f"a stdio request needs stdin, stdout and stderr: {error}") from error
        try:
            self._desk.check(body)
        except RatchetError:
            close_all(fds)
            raise
        client.kind = "stdio"
        client.front = self._desk.start_front(fds, body)
        client.connection.send("accepted", front=client.front.name, pid=os.getpid())

    def _on_close(self, client: Client) -> None:
        """The client went away, or has to."""
        front, client.front = client.front, None
        self._forget(client)
        if front is not None:
            self._desk.stop_front(front)
        if client.kind == "attach" and self.count("attach") == 0:
            self._desk.detach()
        self._desk.clients_changed()

    def _forget(self, client: Client) -> None:
        if client.timer:
            client.timer.cancel()
        client.connection.close()
        self._clients.discard(client)


def error_body(error: RatchetError) -> dict[str, Any]:
    """An error as it travels in `refused`."""
    return {"code": error.code, "message": error.message, "details": error.details}


def _turn_away(sock: socket.socket, error: RatchetError) -> None:
    """Refuse a client without listening to it."""
    with suppress(OSError):  # it is gone, or reads nothing
        sock.setblocking(False)
        sock.send(encode("refused", {"error": error_body(error)}))
    sock.close()


def _is_ours(sock: socket.socket) -> bool:
    """Whether the other side is this user; where the kernel does not tell, the directory's mode must do."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    credentials = struct.Struct("3i")
    _pid, uid, _gid = credentials.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size))
    if uid != os.geteuid():
        log.warning("another user's client was dropped", uid=uid)
    return uid == os.geteuid()
