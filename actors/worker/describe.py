"""Has a fresh child import a task file and say what it defines; a file that hangs or kills its child is broken."""

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from actors.worker.child import Child
from actors.worker.pool import Pool
from actors.worker.zygote import Zygote
from ratchet.bodies.attempts import FileDescription
from ratchet.errors import UnavailableError
from ratchet.models import BrokenFile
from ratchet.runtime.versions import version_of

IMPORT_SECONDS = 30.0


async def describe(pool: Pool, zygote: Zygote, path: str, roots: Sequence[Path]) -> FileDescription:
    """What a task file defines, or why it cannot be loaded.

    Raises:
        UnavailableError: The zygote is gone.
    """
    child = await pool.fork(zygote)
    told: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    def on_message(kind: str, body: dict[str, Any]) -> None:
        if kind == "described" and not told.done():
            told.set_result(body)

    child.attach(on_message, lambda _stream, _line: None)
    try:
        await child.send("describe", {"path": path, "roots": [str(root) for root in roots]})
        async with asyncio.timeout(IMPORT_SECONDS):
            await asyncio.wait({told, child.exit, zygote.gone}, return_when=asyncio.FIRST_COMPLETED)
        return _conclude(path, roots, child, told)
    except TimeoutError:
        child.signal(signal.SIGKILL, tree=True)
        message = f"importing it took longer than {IMPORT_SECONDS:.0f} s; keep work out of module level"
        return _broken(path, roots, "ImportTimeout", message)
    except OSError as error:
        raise UnavailableError(f"the child that should load {path} was gone: {error}") from error
    finally:
        pool.retire(child)


def _conclude(
    path: str, roots: Sequence[Path], child: Child, told: "asyncio.Future[dict[str, Any]]"
) -> FileDescription:
    if told.done():
        try:
            return FileDescription.model_validate(told.result())
        except ValidationError as error:
            message = f"its description cannot be read: {error.error_count()} errors"
            return _broken(path, roots, "MalformedDescription", message)
    if not child.exit.done():
        raise UnavailableError(f"the zygote died while it loaded {path}")
    ended = child.exit.result()
    cause = f"signal {ended.signal}" if ended.signal else f"exit code {ended.exit_code}"
    lines = "\n".join(child.last_lines)
    message = f"importing it ended its process: {cause}" + (f"\n{lines}" if lines else "")
    return _broken(path, roots, "ImportCrash", message)


def _broken(path: str, roots: Sequence[Path], kind: str, message: str) -> FileDescription:
    broken = BrokenFile(path=path, error_type=kind, message=message)
    version = version_of([path], [str(root) for root in roots])
    return FileDescription(version=version, files=[path], tasks=[], broken=broken)
