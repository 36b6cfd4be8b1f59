"""How nodes and join tokens look."""

from ratchet.bodies.nodes import NodeInfo, NodeList, Token
from ratchet.cli.quantities import duration, moment
from ratchet.cli.render import Block, Column, Line, Piece, Table, line

_STYLES = {"enrolled": "green", "draining": "yellow", "revoked": "dim"}
_COLUMNS = (
    Column("NODE"),
    Column("STATUS"),
    Column("CONNECTED"),
    Column("WORKERS", right=True),
    Column("BUSY", right=True),
    Column("VERSION"),
    Column("HOST", flexible=True),
    Column("LAST SEEN"),
)
_CHANGED = {
    "enrolled": "takes work again",
    "draining": "gets no new executions; {busy} of its {slots} slots are still busy",
    "revoked": "is cut off; it comes back only with a new key and a new join token",
}


def token_blocks(token: Token, *, now_ns: int) -> list[Block]:
    """What to do with a token that stands above."""
    seconds = max(0.0, (token.expires_ns - now_ns) / 1e9)
    times = "once" if token.uses == 1 else f"{token.uses} times"
    return [
        line(Piece(f"a secret; it lets a machine in {times}, within {duration(seconds * 1000)}", "dim")),
        line(Piece(f"on that machine: put it into a file, then `ratchet worker --join {token.address}`", "dim")),
    ]


def node_table(found: NodeList, *, now_ns: int) -> list[Block]:
    """Every node."""
    head = line(Piece(f"nodes connect to {found.address}", "dim"))
    if not found.nodes:
        return [head, line(Piece("none has joined; `ratchet node token` prints what lets one in", "dim"))]
    return [head, Table(_COLUMNS, tuple(_row(one, now_ns) for one in found.nodes))]


def changed_line(node: NodeInfo) -> Line:
    """What became of a node."""
    return line(Piece(node.name, "bold"), " " + _CHANGED[node.status].format(busy=node.slots_busy, slots=node.slots))


def overview(found: NodeList) -> str:
    """All of them in a few words."""
    if not found.nodes:
        return f"{found.address}; no node has joined"
    connected = [one for one in found.nodes if one.connected]
    names = ", ".join(one.name for one in connected)
    return f"{found.address}; {len(connected)} of {len(found.nodes)} nodes connected{f': {names}' if names else ''}"


def _row(node: NodeInfo, now_ns: int) -> tuple[Piece, ...]:
    return (
        Piece(node.name, "bold"),
        Piece(node.status, _STYLES[node.status]),
        Piece("yes" if node.connected else "no", "green" if node.connected else "yellow"),
        Piece(str(node.workers)),
        Piece(f"{node.slots_busy}/{node.slots}"),
        Piece(node.version),
        Piece(node.host or "-"),
        Piece(moment(node.last_seen_ns, now_ns=now_ns)),
    )
