from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

from tests.harness import RunningProject, started_project

# A change must not fail for what another one did: the suite tries the same examples each time. New ones are looked for
# with `make test ARGS="tests/properties --hypothesis-profile=explore"`.
settings.register_profile("suite", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, print_blob=True)
settings.load_profile("suite")


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
