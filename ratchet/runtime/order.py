"""What a worker orders of a child."""

from dataclasses import dataclass, fields
from typing import Any

from ratchet.models import JsonObject


@dataclass(frozen=True, slots=True)
class RunOrder:
    """One attempt. Built by the worker from a validated `AttemptOrder`, so only taken apart here."""

    execution_id: str
    attempt: int
    task_id: str
    function: str
    path: str
    roots: list[str]
    version: str
    input: JsonObject
    trace: bool
    cpu_seconds: float
    output_bytes: int


def read_order(body: dict[str, Any]) -> RunOrder:
    """The order in a `run` message; fields of a later protocol are ignored.

    Raises:
        KeyError: A field is missing.
    """
    return RunOrder(**{field.name: body[field.name] for field in fields(RunOrder)})
