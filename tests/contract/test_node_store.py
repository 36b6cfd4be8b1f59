"""What the store of nodes promises: a token lets in as often as it may, and nobody is half enrolled."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest

from ratchet.cluster.records import Node, TokenRecord
from ratchet.stores.database import Database
from ratchet.stores.nodes import NodeStore

NOW_NS = 1_000


@pytest.fixture
async def store(tmp_path: Path) -> AsyncGenerator[NodeStore]:
    async with Database.open(tmp_path / "nodes.db", store="nodes") as database:
        yield NodeStore(database)


def node(name: str, key: str | None = None) -> Node:
    return Node(name, key or f"key of {name}", "enrolled", "1.2.3", enrolled_ns=7)


async def test_a_token_lets_in_as_often_as_it_may_however_many_ask_at_once(store: NodeStore) -> None:
    await store.add_token(TokenRecord("t", 2, NOW_NS + 1), now_ns=NOW_NS)
    let_in = await asyncio.gather(*(store.enrol(node(name), "t", now_ns=NOW_NS) for name in "abcd"))
    assert let_in.count(True) == 2
    assert [one.name for one in await store.nodes()] == [
        name for name, entered in zip("abcd", let_in, strict=True) if entered
    ]


async def test_an_expired_and_an_unknown_token_let_nobody_in(store: NodeStore) -> None:
    await store.add_token(TokenRecord("t", 2, NOW_NS + 1), now_ns=NOW_NS)
    assert not await store.enrol(node("a"), "t", now_ns=NOW_NS + 1)
    assert not await store.enrol(node("a"), "another", now_ns=NOW_NS)
    assert await store.nodes() == []


async def test_a_node_that_cannot_be_recorded_uses_nothing_up(store: NodeStore) -> None:
    await store.add_token(TokenRecord("t", 1, NOW_NS + 1), now_ns=NOW_NS)
    broken = replace(node("a"), status="unheard of")  # pyright: ignore[reportArgumentType] - as a defect would
    with pytest.raises(sqlite3.IntegrityError):
        await store.enrol(broken, "t", now_ns=NOW_NS)
    assert (await store.tokens())[0].uses_left == 1


async def test_what_is_recorded_of_a_node_comes_back_whole(store: NodeStore) -> None:
    full = Node("a", "k", "draining", "1.2.4", 7, last_seen_ns=8, host="here", pid=9)
    await store.put(full)
    await store.put(replace(full, status="revoked"))
    assert await store.nodes() == [replace(full, status="revoked")]


async def test_tokens_of_no_use_are_forgotten_with_the_next_one(store: NodeStore) -> None:
    await store.add_token(TokenRecord("old", 1, NOW_NS), now_ns=NOW_NS - 1)
    await store.add_token(TokenRecord("new", 3, NOW_NS + 5), now_ns=NOW_NS)
    assert await store.tokens() == [TokenRecord("new", 3, NOW_NS + 5)]
