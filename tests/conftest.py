from collections.abc import Iterator

import pytest
import structlog

from tests.harness import RunningProject, started_project


@pytest.fixture(scope="session")
def shared_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProject]:
    """A running project with the tasks of the harness, for tests that neither change it nor kill anything of it."""
    with started_project(tmp_path_factory.mktemp("shared") / "project") as project:
        yield project


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """What a command that ran in this process made of structlog is no other test's."""
    yield
    structlog.reset_defaults()
