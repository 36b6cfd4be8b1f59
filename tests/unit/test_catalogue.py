"""What is known of the task folders while they are looked at."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from actors.task_runner.catalogue import Catalogue
from ratchet.bodies.attempts import FileDescription
from ratchet.models import Task
from ratchet.runtime.versions import version_of

BOUND_SECONDS = 10.0


async def test_a_task_is_known_as_soon_as_its_file_is_described(tmp_path: Path) -> None:
    for name in ("quick", "slow"):
        (tmp_path / f"{name}.py").touch()
    asked, answered = asyncio.Event(), asyncio.Event()

    async def describe(path: str) -> FileDescription:
        name = Path(path).stem
        if name == "slow":
            asked.set()
            await answered.wait()
        version = version_of([path], [str(tmp_path)])
        task = Task(task_id=name, function=name, path=path, version=version, input_schema={"type": "object"})
        return FileDescription(version=version, files=[path], tasks=[task])

    async def save(_found: Mapping[str, FileDescription]) -> None: ...

    catalogue = Catalogue([tmp_path], describe, save)
    async with asyncio.timeout(BOUND_SECONDS), asyncio.TaskGroup() as group:
        looking = group.create_task(catalogue.refresh())
        await asked.wait()
        while not catalogue.tasks:
            assert not looking.done()
            await asyncio.sleep(0)
        assert (await catalogue.find("quick")).task_id == "quick"
        assert not looking.done()
        answered.set()
    assert [one.task_id for one in catalogue.tasks] == ["quick", "slow"]
