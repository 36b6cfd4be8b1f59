"""The catalogue and the system's health as answers."""

import json
from typing import Any

import jsonschema_rs
import pytest

from actors.mcp_front.answers import catalogue_answers, health_answers
from actors.mcp_front.answers.answer import TEXT_CHARACTERS_MAX, Answer
from actors.mcp_front.answers.catalogue_answers import signature
from actors.mcp_front.naming import ToolNames
from actors.mcp_front.tools.table import TOOLS
from ratchet.bodies.executions import Catalogue
from ratchet.bodies.health import Health, PeerHealth, StoreHealth
from ratchet.errors import RequestError
from ratchet.models import BrokenFile, Task

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "file": {"type": "string"},
        "limit": {"type": "integer", "default": 100},
        "format": {"enum": ["pdf", "html"], "default": "pdf"},
        "columns": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}], "default": None},
        "options": {"$ref": "#/$defs/Options"},
        "anything": {},
    },
    "required": ["file"],
    "$defs": {"Options": {"type": "object", "properties": {"deep": {"$ref": "#/$defs/Options"}}}},
}


def task(task_id: str, **changes: Any) -> Task:
    fields: dict[str, Any] = {"function": "f", "path": "/t.py", "version": "v", "input_schema": SCHEMA}
    return Task(task_id=task_id, **{**fields, **changes})


def tasks(catalogue: Catalogue, names: ToolNames | None = None, **options: Any) -> Answer:
    made = catalogue_answers.tasks(catalogue, names or ToolNames(), **options)
    jsonschema_rs.validate(TOOLS["list_available_tasks"].output_schema, made.structured)
    return made


def test_an_input_is_one_line() -> None:
    assert signature(SCHEMA) == (
        'file: string, limit?: integer = 100, format?: "pdf" | "html" = "pdf", '
        "columns?: array of string | null, options?: object, anything?: any"
    )


def test_schemas_come_on_request() -> None:
    catalogue = Catalogue(tasks=[task("a", description="Does a.", tags=["x"], idempotent=True)], broken=[])
    plain = tasks(catalogue)
    assert plain.structured["tasks"][0]["tags"] == ["x"]
    assert "input_schema" not in plain.structured["tasks"][0]
    full = tasks(catalogue, include_schemas=True)
    assert full.structured["tasks"][0]["input_schema"] == SCHEMA
    assert '"required": ["file"]' in full.text


def test_only_who_may_run_tasks_is_told_how() -> None:
    catalogue = Catalogue(tasks=[task("a")], broken=[])
    assert "ratchet_execute_task" in tasks(catalogue).structured["next"]
    assert tasks(catalogue, ToolNames(withheld=frozenset({"execute_task"}))).structured["next"] is None


@pytest.mark.parametrize("include_schemas", [False, True])
def test_many_tasks_come_in_pages_that_fit(include_schemas: bool) -> None:
    catalogue = Catalogue(tasks=[task(f"task-{n:03}", description="d" * 300) for n in range(100)], broken=[])
    seen: list[str] = []
    after: str | None = None
    for _ in range(100):
        made = tasks(catalogue, include_schemas=include_schemas, after=after)
        assert len(json.dumps(made.structured)) <= TEXT_CHARACTERS_MAX
        seen += [row["task_id"] for row in made.structured["tasks"]]
        after = made.structured["next_cursor"]
        if after is None:
            break
        assert json.dumps(after) in made.structured["next"]
    assert seen == [f"task-{n:03}" for n in range(100)]


def test_a_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(RequestError, match="does not continue"):
        tasks(Catalogue(tasks=[], broken=[]), after="1.2")


def test_broken_files_come_first_with_their_error() -> None:
    broken = [BrokenFile(path=f"/t{n}.py", error_type="SyntaxError", message="m" * 5_000, line=3) for n in range(30)]
    made = tasks(Catalogue(tasks=[task("a")], broken=broken))
    assert made.text.startswith("Cannot be loaded: /t0.py:3: SyntaxError: mmm")
    assert made.structured["broken_files_total"] == 30
    assert len(made.structured["broken_files"]) == 5
    assert made.structured["tasks"][0]["task_id"] == "a"
    assert len(json.dumps(made.structured)) <= TEXT_CHARACTERS_MAX


def test_no_task_at_all_says_what_to_do() -> None:
    assert "without filter" in tasks(Catalogue(tasks=[], broken=[])).structured["next"]


# --- health -------------------------------------------------------------------------------------------------------


def peer(name: str, liveness: str = "alive") -> PeerHealth:
    role = name.partition(":")[0]
    return PeerHealth.model_validate(
        {"name": name, "role": role, "incarnation": "i", "liveness": liveness, "connected_seconds": 1}
    )


def process(name: str, **facts: Any) -> Health:
    return Health(name=name, version="0.1.0", pid=1, uptime_seconds=1, memory_bytes=1, **facts)


PEERS = [peer("log-store"), peer("trace-store"), peer("worker:1"), peer("mcp-front")]
STORES = {
    "log-store": process("log-store", stores=[StoreHealth(path="/logs.db", bytes=1, rows=2, schema_version=1)]),
    "trace-store": process("trace-store"),
}


def health(runner: Health | None, stores: dict[str, Health | None] | None = None) -> Answer:
    made = health_answers.health(runner, stores or dict(STORES), process("mcp-front"))
    jsonschema_rs.validate(TOOLS["get_system_health"].output_schema, made.structured)
    return made


def test_who_is_about_to_end_is_no_problem_but_said() -> None:
    ending = peer("worker:2").model_copy(update={"draining": True})
    made = health(process("task-runner", peers=[*PEERS, ending], queue_limit=100))
    assert made.structured["status"] == "ok"
    assert "worker:2: alive, draining" in made.text


def test_a_well_system_is_ok() -> None:
    made = health(process("task-runner", peers=PEERS, executions={"queued": 1, "running": 2}, queue_limit=100))
    assert made.structured["status"] == "ok"
    assert made.structured["queue"]["queued"] == 1
    assert made.structured["stores"][0]["path"] == "/logs.db"
    assert "Nothing was dropped." in made.text


def test_what_is_wrong_comes_first() -> None:
    runner = process(
        "task-runner",
        peers=[peer("log-store"), peer("worker:1", "dead")],
        executions={"queued": 100},
        queue_limit=100,
        broken_files=2,
        counters={"dropped.event": 3, "late": 0},
    )
    made = health(runner, {"log-store": None, "trace-store": None})
    assert made.structured["status"] == "degraded"
    problems = "\n".join(made.structured["problems"])
    for said in (
        "trace-store is not connected",
        "worker:1 is dead",
        "log-store did not answer",
        "2 task files",
        "full",
    ):
        assert said in problems
    assert made.structured["counters"] == {"task-runner.dropped.event": 3}
    assert made.text.splitlines()[1].startswith("- ")


def test_a_runner_that_does_not_answer_is_the_problem() -> None:
    made = health(None)
    assert made.structured["status"] == "degraded"
    assert made.structured["queue"] is None
    assert "task-runner did not answer" in made.text
