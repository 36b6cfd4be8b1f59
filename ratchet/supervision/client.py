"""A client's half of the supervisor's socket: blocking, one request a connection."""

import socket
from collections import deque
from collections.abc import Iterator
from typing import Any, Self

from pydantic import ValidationError

from ratchet.channel import Channel, ChannelError, Message
from ratchet.errors import NotRunningError, ProjectError, RatchetError, RefusedError, UnavailableError, from_code
from ratchet.project import Project
from ratchet.supervision import election
from ratchet.supervision.status import SupervisorStatus
from ratchet.version import VERSION

ANSWER_SECONDS = 5.0


class SupervisorClient:
    """An open connection; as long as it is open, an on-demand supervisor stays up.

    Attributes:
        socket: The connection itself: its end tells that the supervisor is gone.

    Raises:
        NotRunningError: Nobody listens; seen at once.
        ProjectError: The socket may not be used.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        try:
            found = election.connect(project)
        except OSError as error:
            raise ProjectError(f"{project.control_address} cannot be used: {error.strerror}") from error
        if found is None:
            raise NotRunningError(f"no supervisor runs for {where(project)}; start it with `ratchet up`")
        found.settimeout(ANSWER_SECONDS)
        self.socket: socket.socket = found
        self._channel = Channel(found)
        self._unread: deque[Message] = deque()  # what came together with what was asked for

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._channel.close()

    def status(self) -> SupervisorStatus:
        """What the supervisor says of itself.

        Raises:
            RefusedError: It is of another version.
            RatchetError: It does not answer, or refuses.
        """
        return self._status(self._request("status"))

    def attach(self) -> SupervisorStatus:
        """Have an on-demand supervisor serve HTTP as `ratchet up` would, as long as this connection is open.

        Raises:
            RatchetError: It refuses: it is up already, has another configuration, or the port is in use.
        """
        project = self.project
        body = {
            "version": VERSION,
            "config_path": project.config_address,
            "config_digest": project.config_digest,
        }
        return self._status(self._request("attach", body))

    def request_down(self) -> int:
        """Ask the supervisor to drain and end. Returns its pid; `messages` ends when it is gone.

        Raises:
            RatchetError: It does not answer, or refuses.
        """
        body = self._request("down")
        self.socket.settimeout(None)
        return int(body["pid"])

    def request_reload(self) -> list[str]:
        """Have the workers replaced one by one. Returns their names; `messages` tells how far it is, until `reloaded`.

        Raises:
            RatchetError: It does not answer, or refuses.
        """
        body = self._request("reload")
        self.socket.settimeout(None)
        return [str(name) for name in body["workers"]]

    def wait_gone(self) -> None:
        """Return when the supervisor ends."""
        self.socket.settimeout(None)
        for _ in self.messages():
            pass

    def messages(self) -> Iterator[Message]:
        """What it says, until it is gone.

        Raises:
            RatchetError: It refuses, or says nothing in time where an answer is awaited.
        """
        while True:
            while self._unread:
                kind, body = self._unread.popleft()
                if kind == "refused":
                    raise _refusal(body)
                yield kind, body
            try:
                received = self._channel.receive()
            except TimeoutError:
                who = election.holder(self.project) or "unknown pid"
                raise UnavailableError(
                    f"the supervisor of {where(self.project)} ({who}) does not answer within {ANSWER_SECONDS:g} s"
                ) from None
            except ConnectionResetError:
                return
            except ChannelError as error:
                raise UnavailableError(f"the supervisor's answer cannot be read: {error}") from error
            if received is None:
                return
            self._unread.extend(received)

    def _request(self, kind: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send a request and return the body of its answer."""
        try:
            self._channel.send(kind, body)
        except OSError as error:
            raise UnavailableError(f"the supervisor of {where(self.project)} has just ended: try again") from error
        for _kind, answer in self.messages():
            return answer
        raise UnavailableError(f"the supervisor of {where(self.project)} went away instead of answering")

    def _status(self, body: dict[str, Any]) -> SupervisorStatus:
        if body.get("version") != VERSION:
            raise RefusedError(
                f"the supervisor of {where(self.project)} runs version {body.get('version')}, this is {VERSION}: "
                "restart it with `ratchet down` and `ratchet up`"
            )
        try:
            return SupervisorStatus.model_validate(body)
        except ValidationError as error:
            raise UnavailableError(f"the supervisor's status cannot be read: {error}") from None


def where(project: Project) -> str:
    """How a project is named in messages."""
    return str(project.config_path or project.folder)


def _refusal(body: dict[str, Any]) -> RatchetError:
    told: dict[str, Any] = body.get("error") or {}
    return from_code(str(told.get("code", "")), str(told.get("message", "refused")), told.get("details"))
