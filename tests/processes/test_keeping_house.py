"""Retention and damage as whoever runs Ratchet meets them: real processes, real files."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from ratchet.bodies.common import Empty
from ratchet.bodies.health import Health
from ratchet.cli.connection import connect
from ratchet.cli.project_checks import check_stores
from ratchet.messages import GET_HEALTH
from ratchet.stores import recovery
from tests.harness import RunningProject, eventually, folder_project
from tests.integration.command_line import CommandLine

TASKS = {
    "family": """
        import time
        from ratchet import Context, task

        @task
        async def parent(ctx: Context) -> int:
            ctx.log.info("calls")
            return await ctx.run("child", {})

        @task
        def child(ctx: Context) -> int:
            ctx.log.info("is called")
            with ctx.span("work"):
                return 1

        @task
        def long(ctx: Context) -> None:
            ctx.log.info("begins")
            time.sleep(60)
    """
}

CONFIG = {"workers": {"count": 1}, "executions": {"grace_seconds": 0.2}}


def asked(cli: CommandLine, *arguments: str) -> Any:
    ran = cli.run(*arguments, "--json")
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def rows(project: RunningProject, file: str, sql: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{project.data_dir / file}?mode=ro", uri=True)) as connection:
        return [row[0] for row in connection.execute(sql)]


def stored(project: RunningProject) -> set[str]:
    """The executions of which any store has anything."""
    return {
        *rows(project, "executions.db", "SELECT execution_id FROM executions"),
        *rows(project, "logs.db", "SELECT execution_id FROM logs"),
        *rows(project, "spans.db", "SELECT execution_id FROM spans"),
    }


def test_pruning_and_damage_from_outside(tmp_path: Path) -> None:
    with folder_project(tmp_path / "project", tasks=TASKS, config=CONFIG) as project:
        cli = CommandLine(project)
        project.start()
        _prunes_while_it_runs(project, cli)
        project.stop()
        _prunes_where_none_runs(project, cli)

        (project.data_dir / "logs.db").write_bytes((project.data_dir / "logs.db").read_bytes()[:-4096])
        (tmp_path / "project" / "kept").write_bytes((project.data_dir / "executions.db").read_bytes())
        project.configure({**CONFIG, "retention": {"logs": {"age_seconds": 1}, "interval_seconds": 0.2}})
        project.start()
        _tells_of_the_damage(project, cli)
        _removes_logs_by_itself(project, cli)
        project.stop()

        (project.data_dir / "executions.db").write_bytes((tmp_path / "project" / "kept").read_bytes()[:-4096])
        assert "executions.db cannot be used as a database (its last 4096 bytes are missing)" in _refused(cli)


def _prunes_while_it_runs(project: RunningProject, cli: CommandLine) -> None:
    first = asked(cli, "run", "parent")["execution_id"]
    running = cli.run("run", "long", "--no-wait").out.strip()
    second = asked(cli, "run", "child")["execution_id"]
    eventually(lambda: running in rows(project, "logs.db", "SELECT execution_id FROM logs"), "it logs")

    look = ("prune", "--keep", "1", "--dry-run")
    eventually(lambda: asked(cli, *look)["executions"] == 2, "nothing more is noted about their ends")
    would = asked(cli, *look)
    assert (would["dry_run"], first in stored(project)) == (True, True)
    assert would["logs"] == 2
    assert would["spans"] >= 3

    went = asked(cli, "prune", "--keep", "1")
    assert [went[one] for one in ("executions", "logs", "spans")] == [
        would[one] for one in ("executions", "logs", "spans")
    ]
    assert stored(project) == {running, second}
    assert asked(cli, "prune", "--older-than", "1h")["executions"] == 0
    assert "removed 0 executions" in cli.run("prune").out
    gone = cli.run("show", first)
    assert (gone.code, "no execution" in gone.err) == (2, True)
    assert [one.pruned for one in asyncio.run(_health(project)).stores] == [2]
    assert asked(cli, "cancel", running)["status"] == "cancelled"


async def _health(project: RunningProject) -> Health:
    async with connect(project.project) as client:
        return await client.call(GET_HEALTH, Empty(), target="task-runner")


def _prunes_where_none_runs(project: RunningProject, cli: CommandLine) -> None:
    assert len(stored(project)) == 2
    assert asked(cli, "prune", "--older-than", "0s", "--keep", "1")["executions"] == 1
    assert len(stored(project)) == 1
    assert asked(cli, "prune", "--older-than", "0s")["executions"] == 1
    assert stored(project) == set()


def _tells_of_the_damage(project: RunningProject, cli: CommandLine) -> None:
    [aside] = recovery.were_set_aside(project.data_dir / "logs.db")
    assert aside.name in project.said()
    assert aside.name in cli.run("status").out.replace("\n", "")
    [check] = check_stores(project.data_dir)
    assert (check.outcome, aside.name in check.found) == ("warning", True)


def _removes_logs_by_itself(project: RunningProject, cli: CommandLine) -> None:
    execution = asked(cli, "run", "child")["execution_id"]
    eventually(lambda: asked(cli, "show", execution)["logs_pruned_ns"], "its log is removed")
    eventually(lambda: not rows(project, "logs.db", "SELECT execution_id FROM logs"), "all of it")
    assert "its log was removed" in cli.run("logs", execution).err
    assert len(asked(cli, "trace", execution)["spans"]) == 2


def _refused(cli: CommandLine) -> str:
    ran = cli.run_process("up")
    assert ran.code == 1
    return ran.err.replace("\n", " ")
