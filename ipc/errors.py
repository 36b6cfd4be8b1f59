"""Every failure of messaging: one tree, each leaf with a stable code that travels.

`RemoteError` is apart from the others: it carries a code that the *callee* chose and that this package does not know.
"""

from collections.abc import Mapping
from typing import Any


class IpcError(Exception):
    """Base of the tree.

    Attributes:
        code: Stable identifier of the kind of failure.
        message: What was wrong, with what value, and what to do.
        details: Facts for programs.
    """

    code: str = "ipc"

    def __init__(self, message: str, *, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = dict(details or {})


class MalformedError(IpcError):
    """Bytes that are no envelope: the frame is dropped."""

    code = "malformed"


class TooLargeError(IpcError):
    """A body exceeds what an envelope may carry. Nothing was sent."""

    code = "too_large"


class BusyError(IpcError):
    """A bounded queue on the way is full. The call was not executed."""

    code = "busy"


class UnreachableError(IpcError):
    """Nobody of that name is connected. The call was not executed."""

    code = "unreachable"


class LostError(IpcError):
    """The other side, or the way to it, went away while the call was outstanding: its outcome is unknown."""

    code = "lost"


class ExpiredError(IpcError):
    """No answer within the caller's time."""

    code = "expired"


class DeniedError(IpcError):
    """The access table has no row that allows this. The call was not executed."""

    code = "denied"


class UnknownMethodError(IpcError):
    """The callee serves no method of that name."""

    code = "unknown_method"


class IncompatibleError(IpcError):
    """The two sides share no version of the protocol."""

    code = "incompatible"


class UnknownPeerError(IpcError):
    """The hub does not know the sender (any more): it should say hello. Links handle this themselves."""

    code = "unknown_peer"


class RemoteError(IpcError):
    """The callee's handler raised; code, message and details are the callee's."""

    def __init__(self, code: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, details=details)
        self.code = code


_BY_CODE: dict[str, type[IpcError]] = {
    error.code: error
    for error in (
        MalformedError,
        TooLargeError,
        BusyError,
        UnreachableError,
        LostError,
        ExpiredError,
        DeniedError,
        UnknownMethodError,
        IncompatibleError,
        UnknownPeerError,
    )
}


def from_code(code: str, message: str, details: Mapping[str, Any]) -> IpcError:
    """The messaging failure of that code; `RemoteError` when the code is none of this tree."""
    known = _BY_CODE.get(code)
    return RemoteError(code, message, details) if known is None else known(message, details=details)
