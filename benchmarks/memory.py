"""Memory of an idle `ratchet up`: proportional set size, which counts a page shared by N processes as a Nth of it."""

import time
from concurrent.futures import ThreadPoolExecutor
from statistics import mean

import psutil

from benchmarks.executions import run_at_once, run_some
from benchmarks.figure import Figure
from benchmarks.processes import Folder, running_ratchet

_SETTLE_SECONDS = 5.0
_MIB = 2**20
_EXECUTIONS = 200
_AT_ONCE = 4

_TASKS = f'''"""The tasks of the benchmark."""

import time

from ratchet import task


@task(idempotent=True)
def echo(text: str) -> str:
    """Return the text."""
    return text


@task
def hold(text: str) -> str:
    """Be at work for a while."""
    time.sleep({2 * _SETTLE_SECONDS})
    return text
'''


def measure() -> list[Figure]:
    """The figures of this part."""
    with running_ratchet(_TASKS) as folder:
        time.sleep(_SETTLE_SECONDS)
        fresh = _by_process(folder)
        run_some(folder, _EXECUTIONS)
        time.sleep(_SETTLE_SECONDS)
        used = _by_process(folder)
        run_some(folder, 1)  # the last child may have been due to be replaced
        idle, busy = _children(folder), _busy_children(folder)
    figures = [Figure(f"memory (PSS) idle, {name}", amount / _MIB, "MiB", 1) for name, amount in fresh.items()]
    return [
        *figures,
        Figure("memory (PSS) idle, all processes", sum(fresh.values()) / _MIB, "MiB", 1),
        Figure(f"memory (PSS) idle after {_EXECUTIONS} executions, all", sum(used.values()) / _MIB, "MiB", 1),
        Figure("memory (PSS) of one idle child", mean(idle) / _MIB, "MiB", len(idle)),
        Figure("memory (PSS) of one child at work", mean(busy) / _MIB, "MiB", len(busy)),
    ]


def _children(folder: Folder) -> list[int]:
    """Bytes of each process that runs task code, or waits for some."""
    supervisor = psutil.Process(folder.ask("status")["supervisor"]["pid"])
    return [
        process.memory_full_info().pss
        for process in supervisor.children(recursive=True)
        if "zygote_main" in " ".join(process.cmdline()) and not _is_zygote(process)
    ]


def _busy_children(folder: Folder) -> list[int]:
    """The same while as many executions are under way as are looked at."""
    with ThreadPoolExecutor() as pool:
        running = pool.submit(run_at_once, folder, _AT_ONCE, "hold")
        time.sleep(_SETTLE_SECONDS)
        seen = sorted(_children(folder), reverse=True)[:_AT_ONCE]
        running.result()
    return seen


def _by_process(folder: Folder) -> dict[str, int]:
    """Bytes of every process of the project by its name; those of one name are added up."""
    status = folder.ask("status")["supervisor"]
    names: dict[int, str] = {status["pid"]: "supervisor"}
    names.update({child["pid"]: child["name"] for child in status["children"]})
    amounts: dict[str, int] = {}
    supervisor = psutil.Process(status["pid"])
    for process in [supervisor, *supervisor.children(recursive=True)]:
        name = names.get(process.pid) or f"{_owner(process, names)}: {'zygote' if _is_zygote(process) else 'children'}"
        amounts[name] = amounts.get(name, 0) + process.memory_full_info().pss
    return amounts


def _owner(process: psutil.Process, names: dict[int, str]) -> str:
    return next((names[parent.pid] for parent in process.parents() if parent.pid in names), "?")


def _is_zygote(process: psutil.Process) -> bool:
    """Whether it was exec'd by a worker rather than forked by a zygote."""
    parent = process.parent()
    return parent is not None and not any("zygote_main" in word for word in parent.cmdline())
