"""What workers and readers rely on in a store of spans, on every driver."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from ratchet.bodies.telemetry import AppendSpans, ReadSpans, SpanPage
from ratchet.errors import RequestError
from ratchet.models import Span
from ratchet.stores.database import Database
from ratchet.stores.spans import TraceStore


@pytest.fixture(params=["sqlite"])
async def store(tmp_path: Path) -> AsyncGenerator[TraceStore]:
    async with Database.open(tmp_path / "spans.db", store="spans") as database:
        yield TraceStore(database)


def span(sequence: int, start_ns: int, **fields: Any) -> Span:
    defaults = {"span_id": f"{sequence:016x}", "name": f"s{sequence}", "start_ns": start_ns, "end_ns": start_ns + 5}
    return Span.model_validate({"sequence": sequence, **defaults, **fields})


async def append(store: TraceStore, *spans: Span, attempt: int = 1, execution_id: str = "e1") -> None:
    await store.append(AppendSpans(execution_id=execution_id, attempt=attempt, spans=list(spans)))


async def read(store: TraceStore, **fields: Any) -> SpanPage:
    return await store.read(ReadSpans(execution_id="e1", **fields))


async def test_a_span_comes_back_as_it_was_appended(store: TraceStore):
    full = span(
        1,
        10,
        parent_id="00000000000000ff",
        kind="client",
        status="error",
        status_message="refused",
        attributes={"http.request.method": "GET", "sizes": [1, 2]},
    )

    await append(store, full, attempt=3)

    page = await read(store)
    assert [one.model_dump() for one in page.spans] == [{**full.model_dump(), "attempt": 3}]
    assert page.total == 1


async def test_a_batch_that_comes_twice_is_stored_once(store: TraceStore):
    await append(store, span(1, 10), span(2, 20))
    await append(store, span(2, 99), span(3, 30))
    await append(store)

    assert [one.start_ns for one in (await read(store)).spans] == [10, 20, 30]
    assert await store.total() == 3


async def test_a_read_finds_what_was_appended_patiently_before_it(store: TraceStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ratchet.stores.group_commit.PATIENCE_SECONDS", 1_000)
    patient = AppendSpans(execution_id="e1", attempt=1, spans=[span(1, 10)], patient=True)
    appending = asyncio.ensure_future(store.append(patient))
    await asyncio.sleep(0)

    assert [one.start_ns for one in (await read(store)).spans] == [10]
    await appending


async def test_spans_are_ordered_by_start_over_all_attempts(store: TraceStore):
    await append(store, span(1, 30), span(2, 10))
    await append(store, span(1, 20), attempt=2)
    await append(store, span(1, 0), execution_id="e2")

    assert [(one.attempt, one.start_ns) for one in (await read(store)).spans] == [(1, 10), (2, 20), (1, 30)]


async def test_a_limit_keeps_the_first_and_tells_how_many_there_are(store: TraceStore):
    await append(store, *(span(number, number) for number in range(20)))

    page = await read(store, limit=5)

    assert [one.start_ns for one in page.spans] == [0, 1, 2, 3, 4]
    assert page.total == 20


async def test_a_trace_of_huge_attributes_is_cut_short_and_says_so(store: TraceStore):
    await append(store, *(span(number, number, attributes={"text": "x" * 500_000}) for number in range(10)))

    page = await read(store)

    assert len(page.spans) == 8
    assert page.total == 10


async def test_a_limit_below_one_is_refused(store: TraceStore):
    with pytest.raises(RequestError, match="limit is 0"):
        await read(store, limit=0)
