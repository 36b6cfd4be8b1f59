"""The table of expectations for every way in: what a tool, route, resource, prompt or exposed task needs, and of whom.

Written by hand; what exists and has no row here fails the matrix.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from tests.harness import Json

EXECUTES, LOGS, TRACES = "can_execute_tasks", "can_read_logs", "can_read_traces"


@dataclass(frozen=True)
class Row:
    """What is expected of one tool.

    Attributes:
        needs: The permission; None: none.
        arguments: A call; `EXECUTION` stands for the execution it is about.
        about_execution: Whether it is about one, so that it makes a difference whose that is.
        ended: What is said to whoever may use it where the execution has ended; None: the answer.
    """

    needs: str | None
    arguments: Mapping[str, Any]
    about_execution: bool = False
    ended: str | None = None


EXECUTION = {"execution_id": "EXECUTION"}
EXPECTED = {
    "execute_task": Row(EXECUTES, {"task_id": "safe-add", "input": {}}),
    "get_execution_status": Row(None, EXECUTION, about_execution=True),
    "get_execution_logs": Row(LOGS, EXECUTION, about_execution=True),
    "get_execution_trace": Row(TRACES, EXECUTION, about_execution=True),
    "inspect_execution": Row(TRACES, EXECUTION, about_execution=True, ended="bad_request"),
    "analyze_execution_error": Row(LOGS, EXECUTION, about_execution=True),
    "list_available_tasks": Row(None, {}),
    "list_executions": Row(None, {}),
    "cancel_execution": Row(EXECUTES, EXECUTION, about_execution=True),
    "get_system_health": Row(None, {}),
}
# Route by the tool that it stands for; None: it says nothing that is anybody's.
EXPECTED_ROUTES = {
    "/traces/{execution_id}": "get_execution_trace",
    "/traces/{execution_id}/visualize": "get_execution_trace",
    "/logs/{execution_id}": "get_execution_logs",
    "/healthz": None,
}
# Template of resources, likewise.
EXPECTED_RESOURCES = {
    "ratchet://tasks/{task_id}": "execute_task",  # a task that may not be run is not there
    "ratchet://executions/{execution_id}": "get_execution_status",
    "ratchet://executions/{execution_id}/logs": "get_execution_logs",
    "ratchet://executions/{execution_id}/trace": "get_execution_trace",
    "ratchet://executions/{execution_id}/output": "get_execution_status",
}
# Prompt with the tool that it needs, and what it is asked for.
EXPECTED_PROMPTS: dict[str, tuple[str, Mapping[str, str]]] = {
    "debug_failed_execution": ("analyze_execution_error", EXECUTION),
    "run_task": ("execute_task", {"task_id": "safe-add"}),
    "review_recent_failures": ("list_executions", {"since": "1h"}),
}
# Task that is a tool of its own, by whether there is anybody for whom it is: dangerous ones are there for nobody.
EXPECTED_EXPOSED = {"safe-add": True, "other-add": True, "safe-wipe": False}
EXPOSED_PATTERNS = ["safe-add", "other-*", "safe-wipe"]
ALIASES = ("ratchet_{}", "ratchet.{}", "{}")

SETS: dict[str, Json] = {
    "everything": {},
    "no-execute": {EXECUTES: False},
    "no-logs": {LOGS: False},
    "no-traces": {TRACES: False},
    "nothing": {EXECUTES: False, LOGS: False, TRACES: False},
    "patterns": {"allowed_task_patterns": ["safe-*"]},
}
HTTP_STATUS = {None: 200, "forbidden": 403, "unknown_execution": 404}


def expected(row: Row, permissions: Json, *, own: bool) -> str | None:
    """The code of the refusal; None: it is allowed."""
    if row.needs is not None and not permissions.get(row.needs, True):
        return "forbidden"
    return "unknown_execution" if row.about_execution and not own else None


def exposed_to(permissions: Json) -> set[str]:
    """The tasks that are tools for a client with these permissions."""
    if not permissions.get(EXECUTES, True):
        return set()
    patterns: list[str] = permissions.get("allowed_task_patterns", ["*"])
    return {
        name
        for name, for_somebody in EXPECTED_EXPOSED.items()
        if for_somebody and any(fnmatchcase(name, pattern) for pattern in patterns)
    }
