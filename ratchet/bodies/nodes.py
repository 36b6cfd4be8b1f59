"""Nodes: machines that joined, and what is asked of and told to them."""

from typing import Literal

from pydantic import Field

from ratchet.models import Model

TOKEN_SECONDS_MAX = 30 * 86400.0

NodeStatus = Literal["enrolled", "draining", "revoked"]


class NodeInfo(Model):
    """One node, as the head knows it."""

    name: str
    public_key: str  # Z85
    status: NodeStatus
    version: str
    enrolled_ns: int
    last_seen_ns: int | None = None  # when it last registered, or was last connected
    host: str | None = None  # as the machine calls itself
    pid: int | None = None
    connected: bool = False
    workers: int = 0  # connected ones
    slots: int = 0
    slots_busy: int = 0


class NodeList(Model):
    """Every node, by name."""

    address: str  # where nodes connect
    nodes: list[NodeInfo] = Field(default_factory=list[NodeInfo])


class MakeToken(Model):
    """Make a join token."""

    uses: int = Field(default=1, ge=1, le=1000)
    expires_seconds: float = Field(default=3600.0, gt=0, le=TOKEN_SECONDS_MAX)


class Token(Model):
    """A join token: a secret."""

    token: str
    uses: int
    expires_ns: int
    address: str  # where nodes connect


class NameNode(Model):
    """Which node is meant."""

    name: str


class Enrol(Model):
    """A machine that has a join token asks to be let in by a key of its own."""

    name: str
    public_key: str  # Z85
    version: str


class Enrolled(Model):
    """It is let in, under this name and key."""

    name: str
    version: str  # of the head


class RegisterNode(Model):
    """A node's own actor, with each session."""

    version: str
    pid: int
    host: str


class NodeState(Model):
    """What the head wants of a node."""

    status: NodeStatus
    version: str  # of the head
