"""What the head keeps of nodes and tokens."""

from dataclasses import dataclass

from ratchet.bodies.nodes import NodeStatus


@dataclass(frozen=True, slots=True)
class Node:
    """A machine that joined.

    Attributes:
        public_key: By what it is known, as Z85.
        version: Of Ratchet on it, when it last said so.
        last_seen_ns: When it was last connected; None: never since it enrolled.
        host: As the machine calls itself.
        pid: Of its supervisor.
    """

    name: str
    public_key: str
    status: NodeStatus
    version: str
    enrolled_ns: int
    last_seen_ns: int | None = None
    host: str | None = None
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A join token, without what makes it one.

    Attributes:
        public_key: Belongs to the secret key in the token; as Z85.
        uses_left: How many nodes it may still enrol.
    """

    public_key: str
    uses_left: int
    expires_ns: int

    def valid(self, now_ns: int) -> bool:
        """Whether it still enrols anybody."""
        return self.uses_left > 0 and now_ns < self.expires_ns
