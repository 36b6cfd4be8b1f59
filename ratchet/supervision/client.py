"""A client's half of the supervisor's socket, for the CLI: blocking, with a bound on every wait."""

import time
from collections.abc import Callable
from typing import Any, Self

from ratchet.channel import Channel, ChannelError
from ratchet.errors import NotRunningError, RatchetError, UnavailableError, from_code
from ratchet.project import Project
from ratchet.supervision import election
from ratchet.supervision.status import SupervisorStatus
from ratchet.version import VERSION

ANSWER_SECONDS_MAX = 10.0
_LISTEN_SECONDS_MAX = 5.0


class SupervisorClient:
    """One connection to a project's supervisor; good for one request."""

    def __init__(self, project: Project, channel: Channel) -> None:
        self._project = project
        self._channel = channel

    @classmethod
    def connect(cls, project: Project) -> "SupervisorClient":
        """Connect to the supervisor that runs, waiting shortly for one that is being started.

        Raises:
            NotRunningError: There is none.
        """
        deadline = time.monotonic() + _LISTEN_SECONDS_MAX
        while True:
            connection = election.connect(project)
            if connection is not None:
                return cls(project, Channel(connection))
            if not election.is_claimed(project) or not election.pause(deadline):
                raise NotRunningError(
                    f"no supervisor runs for {project.folder}: start one with `ratchet up`, or name another project "
                    "with --config or --data-dir"
                )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._channel.close()

    def status(self) -> SupervisorStatus:
        """What the supervisor says of itself.

        Raises:
            RatchetError: It does not answer, or refuses.
        """
        return SupervisorStatus.model_validate(self._request("status"))

    def attach(self) -> SupervisorStatus:
        """Have an on-demand supervisor serve HTTP as `ratchet up` would, until this connection is closed.

        Raises:
            RatchetError: It refuses: it is up already, has another configuration, or the port is in use.
        """
        body = self._request("attach", version=VERSION, **identity(self._project))
        return SupervisorStatus.model_validate(body)

    def down(self, *, timeout_seconds: float, on_progress: Callable[[list[str]], None] = lambda _names: None) -> None:
        """Have the supervisor finish, and return when it is gone.

        Args:
            timeout_seconds: How long that may take.
            on_progress: Told which actors are being waited for, each time that changes.

        Raises:
            UnavailableError: It is still there after that time.
        """
        self._request("down")
        deadline = time.monotonic() + timeout_seconds
        self._follow(deadline, on_progress)
        while election.is_claimed(self._project):
            if not election.pause(deadline):
                raise UnavailableError(f"the supervisor is still there after {timeout_seconds:g} seconds")

    def wait_gone(self) -> None:
        """Return when the supervisor ends."""
        self._channel.socket.settimeout(None)
        self._read_to_end(lambda _names: None)

    def _follow(self, deadline: float, on_progress: Callable[[list[str]], None]) -> None:
        self._channel.socket.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            self._read_to_end(on_progress)
        except TimeoutError as error:
            raise UnavailableError(
                "the supervisor is still draining: `ratchet status` shows what it waits for"
            ) from error

    def _read_to_end(self, on_progress: Callable[[list[str]], None]) -> None:
        try:
            while (messages := self._channel.receive()) is not None:
                for kind, body in messages:
                    if kind == "draining":
                        on_progress([str(name) for name in body.get("waiting_for", [])])
        except ConnectionResetError:
            return

    def _request(self, kind: str, **body: Any) -> dict[str, Any]:
        """Send a request and return the body of its answer."""
        self._channel.socket.settimeout(ANSWER_SECONDS_MAX)
        try:
            self._channel.send(kind, body)
            while (messages := self._channel.receive()) is not None:
                for answer, content in messages:
                    if answer == "refused":
                        raise _refusal(content)
                    return content
        except TimeoutError as error:
            raise UnavailableError(
                f"the supervisor of {self._project.folder} ({election.holder(self._project)}) does not answer"
            ) from error
        except (OSError, ChannelError) as error:
            raise UnavailableError(f"the supervisor of {self._project.folder} hung up: {error}") from error
        raise UnavailableError(f"the supervisor of {self._project.folder} has just ended; try again")


def identity(project: Project) -> dict[str, Any]:
    """What a client says of its configuration."""
    return {
        "config_path": str(project.config_path) if project.config_path else None,
        "config_digest": project.config_digest,
    }


def _refusal(body: dict[str, Any]) -> RatchetError:
    error: dict[str, Any] = body.get("error") or {}
    return from_code(str(error.get("code", "error")), str(error.get("message", "")), error.get("details") or {})
