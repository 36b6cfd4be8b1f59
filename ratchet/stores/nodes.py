"""Nodes and join tokens in SQLite. The only user of the file is the task-runner."""

from ratchet.cluster.records import Node, TokenRecord
from ratchet.stores.database import Database
from ratchet.stores.group_commit import Statement

_NODE = "name, public_key, status, version, enrolled_ns, last_seen_ns, host, pid"
_PUT_NODE = f"INSERT OR REPLACE INTO nodes ({_NODE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - constants
_PUT_TOKEN = "INSERT INTO tokens (public_key, uses_left, expires_ns) VALUES (?, ?, ?)"  # noqa: S105 - SQL
_USE_TOKEN = "UPDATE tokens SET uses_left = uses_left - 1 WHERE public_key = ? AND uses_left > 0 AND expires_ns > ?"  # noqa: S105
_FORGET_TOKENS = "DELETE FROM tokens WHERE uses_left = 0 OR expires_ns <= ?"


class NodeStore:
    """Every node, and every token that may still be used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def nodes(self) -> list[Node]:
        """All of them, by name.

        Raises:
            StoreError: The disk failed, or the file is damaged.
        """
        return [Node(*row) for row in await self._database.rows(f"SELECT {_NODE} FROM nodes ORDER BY name")]  # noqa: S608

    async def tokens(self) -> list[TokenRecord]:
        """All that are kept, of use or not.

        Raises:
            StoreError: The disk failed, or the file is damaged.
        """
        rows = await self._database.rows("SELECT public_key, uses_left, expires_ns FROM tokens")
        return [TokenRecord(*row) for row in rows]

    async def add_token(self, token: TokenRecord, *, now_ns: int) -> None:
        """Keep a new token, and forget those that are of no use any more. Durable when it returns.

        Raises:
            StoreError: Nothing was recorded.
        """
        await self._database.write(
            Statement(_FORGET_TOKENS, [(now_ns,)]),
            Statement(_PUT_TOKEN, [(token.public_key, token.uses_left, token.expires_ns)]),
        )

    async def enrol(self, node: Node, token_key: str, *, now_ns: int) -> bool:
        """Keep a node that comes with a token, in the place of a revoked one of its name; uses the token up by one.

        Returns whether the token let it: if not, nothing was recorded.

        Raises:
            StoreError: Nothing was recorded.
        """
        used, _ = await self._database.write(
            Statement(_USE_TOKEN, [(token_key, now_ns)]), Statement(_PUT_NODE, [_row(node)]), guarded=True
        )
        return used == 1

    async def put(self, node: Node) -> None:
        """Record what has changed of a node. Durable when it returns.

        Raises:
            StoreError: Nothing was recorded.
        """
        await self._database.write(Statement(_PUT_NODE, [_row(node)]))


def _row(node: Node) -> tuple[str | int | None, ...]:
    return (
        node.name,
        node.public_key,
        node.status,
        node.version,
        node.enrolled_ns,
        node.last_seen_ns,
        node.host,
        node.pid,
    )
