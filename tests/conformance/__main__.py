"""`make conformance`: the official suite against Ratchet, with the suite's tools as ordinary tasks exposed as tools."""

import sys
import tempfile
from pathlib import Path

from tests.conformance import suite
from tests.conformance.verdict import VERSIONS, complaints, counts, expected_failures
from tests.harness import ROOT, Json, RunningProject, started_project

_INSTALLED = ROOT / "build" / "conformance"


def fixtures() -> dict[str, str]:
    """Sources of the task files, by name without suffix."""
    return {path.stem: path.read_text() for path in sorted((suite.HERE / "tasks").glob("*.py"))}


def main() -> int:
    """Run it for every version; the exit code."""
    try:
        installed = suite.install(_INSTALLED)
        config: Json = {"mcp": {"server": {"expose_tasks": ["*"]}}, "llm": {"routes": ["caller"]}}
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            with started_project(place / "project", tasks=fixtures(), config=config) as project:
                agree = [_agrees(installed, project, version, place / version) for version in VERSIONS]
    except suite.SuiteError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0 if all(agree) else 1


def _agrees(installed: Path, project: RunningProject, version: str, results: Path) -> bool:
    results.mkdir()
    outcome = suite.run(installed, project.url, version, results)
    found = list(complaints(outcome, expected_failures()[version]))
    sys.stdout.write(f"{version}: {counts(outcome)}; {len(found)} not as expected\n")
    for one in found:
        sys.stdout.write(f"  {one}\n")
    return not found


if __name__ == "__main__":
    sys.exit(main())
