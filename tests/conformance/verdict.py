"""What the suite found against what is expected of it: nothing else may fail, and what is expected to must."""

from collections.abc import Iterator
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from tests.conformance.suite import HERE, Outcome

VERSIONS = ("2025-11-25", "2026-07-28")
_FILE = HERE / "expected-failures.yaml"


class Expected(BaseModel):
    """Checks that do not succeed, and why.

    Attributes:
        reason: What is missing, and when it comes.
        scenarios: Their checks by scenario.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str = Field(min_length=20)
    scenarios: dict[str, list[str]] = Field(min_length=1)


_LIST: TypeAdapter[dict[str, list[Expected]]] = TypeAdapter(dict[str, list[Expected]])


def expected_failures(path: Path = _FILE) -> dict[str, list[Expected]]:
    """The committed list, by version."""
    return _LIST.validate_python(yaml.safe_load(path.read_text()))


def complaints(outcome: Outcome, expected: list[Expected]) -> Iterator[str]:
    """What is not as expected; nothing where all is."""
    wanted = {(scenario, check) for one in expected for scenario, checks in one.scenarios.items() for check in checks}
    found = {(scenario, check): why for scenario, checks in outcome.failed.items() for check, why in checks.items()}
    for (scenario, check), why in found.items():
        if (scenario, check) not in wanted:
            yield f"{scenario}: {check} fails: {why}"
    for scenario, check in sorted(wanted - found.keys()):
        yield f"{scenario}: {check} is expected to fail and does not: take it off the list"


def counts(outcome: Outcome) -> str:
    """A line about a version's outcome."""
    clean = len(outcome.passed) - len(outcome.failed)
    failed = sum(map(len, outcome.failed.values()))
    return (
        f"{clean} of {len(outcome.passed)} scenarios without a complaint; "
        f"{sum(outcome.passed.values())} checks succeeded, {failed} did not"
    )
