"""The star of messaging that the contract tests of `ipc` are written against, on each transport."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.ipc_world import CurveWorld, MemoryWorld, World, ZmqWorld


@pytest.fixture(params=["memory", "zeromq", "curve"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "memory":
        made: World = MemoryWorld()
        yield made
        await made.close()
        return
    folder = Path(tempfile.mkdtemp(prefix="rt-"))  # the path of a Unix socket must be short
    made = CurveWorld(folder) if request.param == "curve" else ZmqWorld(folder)
    yield made
    await made.close()
    shutil.rmtree(folder)
