"""Whatever was stored and whatever is wished: families stay whole, and what belongs to an execution goes with it."""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.bodies.retention import Prune
from tests.contract.test_pruning import opened

MEMBER = st.tuples(st.integers(0, 20), st.booleans())  # days ago, ended
FAMILIES = st.lists(st.lists(MEMBER, min_size=1, max_size=3), max_size=6)
WISHES = st.builds(
    Prune,
    older_than_seconds=st.none() | st.integers(0, 20).map(lambda days: (days + 0.5) * 86_400),
    keep=st.none() | st.integers(0, 8),
)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Empty stores: to copy them is faster than to migrate new ones."""
    folder = tmp_path_factory.mktemp("empty")

    async def make() -> None:
        async with opened(folder):
            pass

    asyncio.run(make())
    return folder


@settings(max_examples=12)
@given(families=FAMILIES, wish=WISHES)
def test_pruning_keeps_its_promises(empty: Path, families: list[list[tuple[int, bool]]], wish: Prune) -> None:
    asyncio.run(_pruned(empty, families, wish))


async def _pruned(empty: Path, families: list[list[tuple[int, bool]]], wish: Prune) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(empty, folder, dirs_exist_ok=True)
        async with opened(Path(folder)) as house:
            names: list[list[str]] = []
            adding: list[Coroutine[Any, Any, None]] = []
            for index, family in enumerate(families):
                root = f"f{index}"
                names.append([root if place == 0 else f"{root}.{place}" for place in range(len(family))])
                oldest = max(days for days, _ in family)
                for place, (days, ended) in enumerate(family):
                    above = None if place == 0 else root
                    adding.append(house.add(names[-1][place], oldest if place == 0 else days, root=above, ended=ended))
            await asyncio.gather(*adding)
            await house.keeper().run(wish)
            left = await house.left()

    assert set(left.values()) <= {(3, 2)}  # nobody lost a log or spans, and none is without an execution
    for family, members in zip(families, names, strict=True):
        gone = [name not in left for name in members]
        assert all(gone) or not any(gone)
        assert not (any(gone) and not all(ended for _, ended in family))
        if wish.older_than_seconds is not None and wish.keep is None:
            ages = [max(days for days, _ in family), *(days for days, _ in family[1:])]
            old = all(days * 86_400 > wish.older_than_seconds for days in ages)
            assert all(gone) == (old and all(ended for _, ended in family))
    if wish.keep is not None:
        finished = sum(ended for family in families for _, ended in family)
        kept = sum(ended for family, members in zip(families, names, strict=True)
                   for (_, ended), name in zip(family, members, strict=True) if name in left)  # fmt: skip
        assert kept >= min(wish.keep, finished)
