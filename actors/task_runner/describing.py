"""Has a worker say what a task file defines: task code is imported only in children."""

import asyncio

from actors.task_runner.workers import Workers
from ipc.errors import IpcError
from ipc.link import Link
from ratchet import messages, rpc
from ratchet.bodies.attempts import DescribeFile, FileDescription
from ratchet.errors import RatchetError, UnavailableError

_DESCRIBE_SECONDS = 60.0
_WORKER_SECONDS = 15.0


async def describe(path: str, workers: Workers, link: Link) -> FileDescription:
    """What a file defines; waits for a worker at start-up.

    Raises:
        UnavailableError: No worker could say.
    """
    try:
        async with asyncio.timeout(_WORKER_SECONDS):
            while (worker := workers.describer(now=asyncio.get_running_loop().time())) is None:
                workers.registered.clear()
                await workers.registered.wait()
        request = DescribeFile(path=path)
        return await rpc.call(
            link, messages.DESCRIBE_FILE, request, target=worker.name, timeout_seconds=_DESCRIBE_SECONDS
        )
    except TimeoutError:
        raise UnavailableError(f"no worker is connected that could load {path}; `ratchet status` shows why") from None
    except (IpcError, RatchetError) as error:
        raise UnavailableError(f"{path} could not be described: {error}; try again") from error
