"""How a session begins: the bodies of hello, welcome and pong, the names, and the choice of a version."""

import re
from dataclasses import dataclass
from typing import cast

import msgpack

from ipc.envelope import BODY_BYTES_MAX, PROTOCOL_VERSION, PROTOCOL_VERSION_MIN
from ipc.errors import IncompatibleError, MalformedError

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}(:[A-Za-z0-9._-]{1,64})?", re.ASCII)
_INCARNATION = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_UNPACK_ERRORS = (ValueError, TypeError, OverflowError, msgpack.UnpackException)


@dataclass(frozen=True, slots=True)
class Hello:
    """What a link says first.

    Attributes:
        version_min: Oldest protocol the link speaks.
        version_max: Newest protocol the link speaks.
        name: `role[:instance]`.
        incarnation: Random per start of the process.
        session: Counts the link's sessions, so that a repeated hello is told from a new one.
        body: For whoever embeds the hub.
    """

    version_min: int
    version_max: int
    name: str
    incarnation: str
    session: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Welcome:
    """The hub's answer to a hello."""

    version: int
    incarnation: str
    session: int


def check_name(name: str, incarnation: str) -> None:
    """Refuse what could not be part of a routing id.

    Raises:
        MalformedError: Either is not of its form.
    """
    if not _NAME.fullmatch(name):
        raise MalformedError(f"{name!r:.80} is no name; it is role or role:instance, as in worker:1")
    if not _INCARNATION.fullmatch(incarnation):
        raise MalformedError(f"{incarnation!r:.80} is no incarnation; letters, digits, dots and dashes, at most 64")


def identity(name: str, incarnation: str, resets: int = 0) -> bytes:
    """The routing id of a link: a random part keeps an old process's messages from reaching a new one.

    A connection that is made anew by hand has an id of its own, since a ROUTER ignores a second connection of the
    same id for as long as it has not read all that came over the first.
    """
    return f"{name}|{incarnation}{f'|{resets}' if resets else ''}".encode("ascii")


def fits(route: bytes, name: str, incarnation: str) -> bool:
    """Whether a connection of that routing id may say hello by that name."""
    own = identity(name, incarnation)
    return route == own or route.startswith(own + b"|")


def choose_version(hello: Hello) -> int:
    """The newest version both sides speak.

    Raises:
        IncompatibleError: There is none.
    """
    version = min(hello.version_max, PROTOCOL_VERSION)
    if version < max(hello.version_min, PROTOCOL_VERSION_MIN):
        raise IncompatibleError(
            f"{hello.name} speaks versions {hello.version_min} to {hello.version_max} of the protocol, "
            f"the hub {PROTOCOL_VERSION_MIN} to {PROTOCOL_VERSION}; run the same release on both sides"
        )
    return version


def encode_hello(hello: Hello) -> bytes:
    """The body of a hello."""
    return msgpack.packb(
        [hello.version_min, hello.version_max, hello.name, hello.incarnation, hello.session, hello.body]
    )


def decode_hello(body: bytes) -> Hello:
    """Read the body of a hello; elements that later versions append are ignored.

    Raises:
        MalformedError: It is none.
    """
    match _unpack(body)[:6]:
        case [int(low), int(high), str(name), str(incarnation), int(session), bytes(inner)]:
            check_name(name, incarnation)
            return Hello(low, high, name, incarnation, session, inner)
        case other:
            raise MalformedError(f"no hello: {other!r:.200}")


def encode_welcome(welcome: Welcome) -> bytes:
    """The body of a welcome; a pong carries the same."""
    return msgpack.packb([welcome.version, welcome.incarnation, welcome.session])


def decode_welcome(body: bytes) -> Welcome:
    """Read the body of a welcome or a pong.

    Raises:
        MalformedError: It is none.
    """
    match _unpack(body)[:3]:
        case [int(version), str(incarnation), int(session)]:
            return Welcome(version, incarnation, session)
        case other:
            raise MalformedError(f"no welcome: {other!r:.200}")


def _unpack(body: bytes) -> list[object]:
    try:
        unpacked = msgpack.unpackb(body, max_array_len=64, max_map_len=0, max_ext_len=0, max_bin_len=BODY_BYTES_MAX)
    except _UNPACK_ERRORS as error:
        raise MalformedError(f"not msgpack: {error!s:.200}") from error
    if not isinstance(unpacked, list):
        raise MalformedError(f"an array is expected, not {type(unpacked).__name__}")
    return cast("list[object]", unpacked)
