"""What the processes of a node are called. Pure.

A node's own actor is `node:NAME`, its workers are `worker:NAME.N`; workers of the head are `worker:N`. Whoever has a
join token and no key of its own yet is `joiner:ANYTHING`.
"""

import re

NODE = "node"
WORKER = "worker"
JOINER = "joiner"

_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)


def valid(name: str) -> bool:
    """Whether a node may be called so: a small letter, then up to 31 of small letters, digits and dashes."""
    return _NAME.fullmatch(name) is not None


def actor_name(node: str) -> str:
    """The name of a node's own actor."""
    return f"{NODE}:{node}"


def worker_name(node: str, number: int) -> str:
    """The name of one of a node's workers, counted from 1."""
    return f"{WORKER}:{node}.{number}"


def node_of(actor: str) -> str | None:
    """The node that an actor of this name belongs to; None: it is the head's, or nobody's."""
    role, _, instance = actor.partition(":")
    if role == NODE:
        return instance
    node, dot, _number = instance.partition(".")
    return node if role == WORKER and dot else None
