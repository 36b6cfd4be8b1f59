import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.tiny_project import TinyProject


@pytest.fixture
def runtime_dir() -> Iterator[Path]:
    """A short path: those of Unix sockets must not be long."""
    path = Path(tempfile.mkdtemp(prefix="rt-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def project(tmp_path: Path, runtime_dir: Path) -> Iterator[TinyProject]:
    """A project with tiny actors."""
    found = TinyProject(tmp_path / "project", runtime_dir)
    yield found
    found.close()
