"""What is installed: everything that runs, and nothing that only tests or documents."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from ratchet.version import VERSION
from tests.harness import BOUND_SECONDS, ROOT

TOP_LEVEL = {"ratchet", "ipc", "actors", "supervisor.py", f"ratchet_mcp-{VERSION}.dist-info"}


def tracked(*folders: str) -> set[str]:
    """The files of these folders that belong to the project."""
    found = (path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file())
    return {str(path.relative_to(ROOT)) for path in found if "__pycache__" not in path.parts}


def test_the_wheel_has_every_file_that_runs_and_no_other(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        timeout=BOUND_SECONDS,
        check=True,
    )
    [wheel] = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split("/")[0] for name in names} == TOP_LEVEL
    assert tracked("ratchet", "ipc", "actors") - names == set()
    assert {"ratchet/py.typed", "ipc/py.typed", "supervisor.py"} <= names
