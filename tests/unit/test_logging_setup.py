"""Where an actor's own log goes."""

import json
import logging
import multiprocessing
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from ratchet.logging_setup import JsonLinesHandler, close_logging, setup_logging


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Leave logging as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    for handler in handlers:
        root.removeHandler(handler)
    yield
    close_logging()
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_structlog_logging_and_warnings_end_in_one_file_of_the_role(tmp_path: Path) -> None:
    setup_logging(tmp_path / "logs", "worker:3", "abc", "info")
    structlog.stdlib.get_logger("mine").info("one", number=1)
    logging.getLogger("theirs").warning("two %s", "things", extra={"more": [2]})
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("three", stacklevel=1)
    logging.getLogger("theirs").debug("below the level")
    written = lines(tmp_path / "logs" / "worker.jsonl")
    assert [line["event"] for line in written[:2]] == ["one", "two things"]
    assert "three" in str(written[2]["event"])
    assert len(written) == 3
    assert (written[0]["number"], written[1]["more"]) == (1, [2])
    assert {(line["actor"], line["incarnation"]) for line in written} == {("worker:3", "abc")}


def test_tracebacks_are_structured(tmp_path: Path) -> None:
    setup_logging(tmp_path, "front", "abc", "info")
    try:
        int("no good")
    except ValueError:
        structlog.stdlib.get_logger().exception("it failed")
    (line,) = lines(tmp_path / "front.jsonl")
    assert isinstance(line["exception"], list)
    assert line["exception"][0]["exc_type"] == "ValueError"


def test_libraries_that_chat_are_heard_only_while_debugging(tmp_path: Path) -> None:
    setup_logging(tmp_path, "a", "abc", "info")
    logging.getLogger("uvicorn.error").info("Started server process")
    setup_logging(tmp_path, "b", "abc", "debug")
    logging.getLogger("uvicorn.error").info("Started server process")
    assert lines(tmp_path / "a.jsonl") == []
    assert len(lines(tmp_path / "b.jsonl")) == 1


def test_warnings_go_to_people_too_and_the_rest_only_to_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    setup_logging(tmp_path, "front", "abc", "info")
    structlog.stdlib.get_logger().info("all is well")
    structlog.stdlib.get_logger().warning("all is not well")
    said = capsys.readouterr().err
    assert "all is not well" in said
    assert "all is well" not in said


def write_many(path: Path, name: str, count: int) -> None:
    handler = JsonLinesHandler(path, bytes_max=20_000, kept=100)
    for number in range(count):
        handler.emit(logging.LogRecord(name, logging.INFO, "", 0, f"{name} {number} {'x' * 80}", None, None))
    handler.close()


def test_processes_that_share_a_file_rotate_it_without_losing_a_line(tmp_path: Path) -> None:
    path = tmp_path / "shared.jsonl"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_many, args=(path, f"writer{number}", 1000)) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    files = list(tmp_path.glob("shared*.jsonl"))
    assert len(files) > 10
    written = [line.rpartition(" ")[0] for file in files for line in file.read_text().splitlines()]
    assert sorted(written) == sorted(f"writer{writer} {number}" for writer in range(3) for number in range(1000))
    assert max(file.stat().st_size for file in files) < 25_000


def test_no_more_old_files_are_kept_than_wanted(tmp_path: Path) -> None:
    path = tmp_path / "small.jsonl"
    handler = JsonLinesHandler(path, bytes_max=100, kept=2)
    for number in range(50):
        handler.emit(logging.LogRecord("a", logging.INFO, "", 0, f"{number} {'x' * 80}", None, None))
    handler.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["small.1.jsonl", "small.2.jsonl", "small.jsonl"]
    assert path.read_text().startswith("48 ") or path.read_text().startswith("49 ")
