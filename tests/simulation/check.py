"""The invariants of a world in which nothing is wrong any more."""

# What is left over is found where it would be: in the actors' own tables.
# pyright: reportPrivateUsage=false

import traceback

from actors.task_runner.actor import TaskRunner
from actors.worker.actor import WorkerActor
from ipc.link import Link
from ratchet.models import Attempt, Category, Execution, Failure, Status
from ratchet.next_attempt import DEATHS_MAX, is_death
from tests.simulation.attempts import wrong_with_attempts
from tests.simulation.tasks import QUICK_SECONDS
from tests.simulation.truth import Truth
from tests.simulation.world import ACTORS, CHILDREN, World

_PEERS = set(ACTORS) - {"task-runner"}


def leftovers(world: World) -> list[str]:
    """What is still under way, or was forgotten."""
    assert world.runner is not None
    found = _left_in_runner(world.runner)
    for name, worker in world.workers.items():
        found += [f"{name}: {one}" for one in _left_in_worker(worker)]
    if not world.ready:
        found.append("not every actor is up")
    if not world.reported:
        found.append("an exit was not acknowledged")
    found += [f"{child.process.name} runs an order" for child in world.machine.children if child._order is not None]
    if len(world.machine.children) > CHILDREN * len(world.workers):
        found.append(f"{len(world.machine.children)} children are kept")
    return found


def _left_in_runner(runner: TaskRunner) -> list[str]:
    dispatcher, families, reports = runner._dispatcher, runner._dispatcher.families, runner._dispatcher.reports
    held = {worker.name: worker.held for worker in runner._workers.all() if worker.held}
    tables = {
        "executions": runner._ledger.live,
        "the queue": list(dispatcher.queue),
        "timers": list(dispatcher.delays._timers),
        "being accepted": runner._desk._accepting,
        "held by workers": held,
        "lent slots": runner._workers.waiting,
        "called": families._children,
        "unproven telemetry": reports._unproven,
        "unnoted telemetry": reports._proven,
    }
    found = [f"task-runner, {name}: {table}" for name, table in tables.items() if table]
    missing = _PEERS - runner.hub.peers.keys()
    if missing:
        found.append(f"not connected: {sorted(missing)}")
    return found + [f"task-runner: {one}" for one in _left_in_link(runner._link)]


def _left_in_worker(worker: WorkerActor) -> list[str]:
    tables = {"runs": worker._runs, "busy children": worker._pool._busy}
    return [f"{name}: {table}" for name, table in tables.items() if table] + _left_in_link(worker._link)


def _left_in_link(link: Link) -> list[str]:
    tables = {"calls": len(link._calls), "handlers": link.running}
    return [f"{name}: {count}" for name, count in tables.items() if count]


def violations(world: World) -> list[str]:
    """Everything that is not as it should be, once nothing is left over."""
    truth = world.truth
    found = [*truth.lies, *truth.tracebacks]
    found += crashes(world)
    stored = _stored(world)
    for key in sorted(truth.accepted - stored.keys()):
        found.append(f"{key} was accepted and is not recorded")
    for key, ended in truth.ends.items():
        if key in stored:
            truth.told(stored[key])
            found += [f"{key}: {lie}" for lie in truth.lies if lie not in found]
        assert ended.status.terminal
    for execution in stored.values():
        found += [f"{execution.execution_id}: {one}" for one in _wrong_with(execution, truth)]
    found += _missing_telemetry(world, stored)
    for key, fence in truth.ran:
        if key not in stored or fence not in [one.fence for one in stored[key].attempts]:
            found.append(f"{key}: attempt {fence} ran and is not recorded")
    return found


def crashes(world: World) -> list[str]:
    """What escaped, with its traceback."""
    return [f"{name} crashed: {''.join(traceback.format_exception(error))}" for name, error in world.loop.crashes]


def _stored(world: World) -> dict[str, Execution]:
    from ratchet.stores.executions import _ONE, _execution

    rows = world.disk.file("executions").execute(_ONE).fetchall()
    return {one.execution_id: one for one in map(_execution, rows)}


def _wrong_with(execution: Execution, truth: Truth) -> list[str]:
    key, found = execution.execution_id, list[str]()
    if not execution.status.terminal:
        return [f"is {execution.status.value} for ever"]
    found += wrong_with_attempts(execution, truth)
    last = execution.attempts[-1] if execution.attempts else None
    ran = truth.ran.get((key, last.fence)) if last is not None else None
    match execution.status:
        case Status.COMPLETED:
            if ran is None or ran.ended != "returned" or execution.output != {"of": key}:
                found.append(f"is completed with {execution.output}, and {ran}")
        case Status.CANCELLED:
            if key not in truth.cancelled and execution.lineage is None:
                found.append("was cancelled by nobody")
        case _:
            assert execution.failure is not None
            if not _true(execution.failure, execution, last, truth):
                found.append(f"failed with {execution.failure.category.value}, {execution.failure.message}, and {ran}")
    return found


def _true(failure: Failure, execution: Execution, last: Attempt | None, truth: Truth) -> bool:
    """Whether an execution failed of what it says that it failed of."""
    if failure.category is Category.TIMEOUT and execution.deadline_ns is not None:
        return True  # its caller's time was up, wherever it was then
    if last is None:
        return failure.category is Category.TASK_BROKEN
    ran = truth.ran.get((execution.execution_id, last.fence))
    worker = last.worker_incarnation
    match failure.category:
        case Category.EXCEPTION:
            return ran is not None and ran.ended == "raised"
        case Category.CRASHED:
            return ran is None or ran.ended == "died"
        case Category.TIMEOUT:
            return ran is not None and ran.ended_at - ran.began_at > min(QUICK_SECONDS, 0.0)
        case Category.SHUTDOWN:
            return worker in truth.drained
        case Category.WORKER_LOST:
            gone = worker in truth.worker_ends
            return {"ZygoteDied": worker in truth.zygote_ends, "LeaseExpired": gone or truth.unheard}.get(
                failure.type, gone or truth.unheard
            )
        case Category.POISON:
            deaths = [one for one in execution.attempts if one.failure is not None and is_death(one.failure)]
            return len(deaths) == len(failure.details["deaths"]) == DEATHS_MAX
        case Category.TASK_BROKEN:
            return failure.type == "VersionChanged"
        case _:
            return False


def _missing_telemetry(world: World, stored: dict[str, Execution]) -> list[str]:
    found: list[str] = []
    counts = {
        store: {
            (key, attempt): rows
            for key, attempt, rows in world.disk.file(store).execute(
                f"SELECT execution_id, attempt, count(*) FROM {store} GROUP BY 1, 2"
            )
        }
        for store in ("logs", "spans")
    }
    for execution in stored.values():
        for attempt in execution.attempts:
            ran = world.truth.ran.get((execution.execution_id, attempt.fence))
            if ran is None or ran.ended == "died" or attempt.telemetry == "incomplete":
                continue
            if attempt.ended_ns is None or (attempt.failure is not None and attempt.failure.type == "NotDelivered"):
                continue
            key = (execution.execution_id, attempt.fence)
            for store, written in (("logs", ran.logged), ("spans", ran.spans)):
                if counts[store].get(key, 0) < written:
                    have = counts[store].get(key, 0)
                    found.append(f"{key}: {have} of {written} {store} are stored, telemetry is {attempt.telemetry}")
    return found
