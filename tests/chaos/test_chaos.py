"""A short run of `make chaos`: every kind of process is struck under load, and every invariant holds."""

from pathlib import Path

from tests.chaos import report
from tests.chaos.plan import NODE, TARGETS
from tests.chaos.run import run

EXECUTIONS = 150
SEED = 1308  # a bit of everything, and little time spent stopped


async def test_every_invariant_holds_while_processes_are_killed_stopped_and_starved(tmp_path: Path) -> None:
    outcome = await run(tmp_path, EXECUTIONS, SEED, only=[one for one in TARGETS if one != NODE])

    assert not outcome.complaints, report.told(outcome)
    assert len(outcome.strikes) >= EXECUTIONS // 40
