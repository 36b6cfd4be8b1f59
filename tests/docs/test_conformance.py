"""The list of what the official conformance suite finds, and what pins that suite, have the form that they need."""

import json
import re

from tests.conformance.suite import HERE, Outcome
from tests.conformance.verdict import VERSIONS, Expected, complaints, expected_failures

FIXTURE = re.compile(r"\b(test_\w+|test://[\w/{}-]+)")


def test_every_version_has_a_list_and_every_entry_a_reason_and_no_check_is_there_twice() -> None:
    found = expected_failures()

    assert tuple(found) == VERSIONS
    for entries in found.values():
        checks = [(scenario, check) for one in entries for scenario, some in one.scenarios.items() for check in some]
        assert len(checks) == len(set(checks))
        assert all(one.reason.startswith(("Missing fixture: ", "A recommendation")) for one in entries)
        assert all(FIXTURE.search(one.reason) for one in entries if one.reason.startswith("Missing fixture: "))


def test_a_fixture_that_is_said_to_be_missing_is_missing() -> None:
    tasks = "".join(path.read_text() for path in (HERE / "tasks").glob("*.py"))
    missing = {
        name for entries in expected_failures().values() for one in entries for name in FIXTURE.findall(one.reason)
    }

    assert [name for name in sorted(missing) if f'"{name}"' in tasks] == []


def test_the_suite_is_pinned_and_its_lock_names_no_registry() -> None:
    package = json.loads((HERE / "package.json").read_text())
    lock = (HERE / "package-lock.json").read_text()

    pinned = package["dependencies"] | package["optionalDependencies"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+(-[\w.]+)?", version) for version in pinned.values())
    assert json.loads(lock)["packages"][""]["dependencies"] == package["dependencies"]
    assert '"resolved"' not in lock


def test_whatever_is_not_as_expected_is_said() -> None:
    outcome = Outcome(passed={"one": 2, "two": 1}, failed={"one": {"new": "it broke"}, "two": {"known": "as ever"}})
    expected = [Expected(reason="Missing fixture: none at all", scenarios={"two": ["known", "mended"]})]

    assert list(complaints(outcome, expected)) == [
        "one: new fails: it broke",
        "two: mended is expected to fail and does not: take it off the list",
    ]
    known = [Expected(reason="Missing fixture: none at all", scenarios={"one": ["new"], "two": ["known"]})]
    assert list(complaints(outcome, known)) == []
