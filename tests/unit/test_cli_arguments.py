"""What stands on a command line becomes values, or a usage error that says what would be right."""

import io
import json
from pathlib import Path

import pytest
import typer

from ratchet.cli import arguments


def test_input_is_json_itself() -> None:
    assert arguments.task_input('{"path": "a.csv", "rows": [1, 2]}') == {"path": "a.csv", "rows": [1, 2]}


def test_input_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "input.json"
    file.write_text('{"name": "Zoë"}', encoding="utf-8")
    assert arguments.task_input(f"@{file}") == {"name": "Zoë"}


def test_input_is_read_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"a": 1}')))
    assert arguments.task_input("-") == {"a": 1}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{path: a.csv}", "is not JSON"),
        ("", "is not JSON"),
        ('{"a": NaN}', "NaN is not a JSON number"),
        ("[1, 2]", "is [1, 2]"),
        ('"text"', "is a JSON object"),
        ("null", "is null"),
        ("[" * 100_000, "is not JSON"),
        ("@/nowhere/input.json", "cannot be read"),
    ],
)
def test_input_that_is_no_json_object_is_refused(text: str, words: str) -> None:
    with pytest.raises(typer.BadParameter) as refused:
        arguments.task_input(text)
    assert words in refused.value.message
    assert refused.value.param_hint == "--input"


def test_a_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    file = tmp_path / "input.json"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(typer.BadParameter) as refused:
        arguments.task_input(f"@{file}")
    assert str(file) in refused.value.message


def test_metadata_are_strings_by_key() -> None:
    assert arguments.metadata(["build=7", "note=a=b", "empty="]) == {"build": "7", "note": "a=b", "empty": ""}


@pytest.mark.parametrize(
    ("entries", "words"), [(["build"], "KEY=VALUE"), (["=7"], "KEY=VALUE"), (["a=1", "a=2"], "twice")]
)
def test_other_metadata_are_refused(entries: list[str], words: str) -> None:
    with pytest.raises(typer.BadParameter, match=words):
        arguments.metadata(entries)


def test_since_and_durations_say_what_they_understand() -> None:
    assert arguments.since(None) is None
    assert arguments.since("2026-05-01T00:00:00+00:00") == 1_777_593_600 * 10**9
    assert arguments.seconds("5m", option="--wait") == 300
    with pytest.raises(typer.BadParameter, match="30m, 1h"):
        arguments.since("yesterday")
    with pytest.raises(typer.BadParameter, match="30s, 5m"):
        arguments.seconds("soon", option="--wait")


def test_input_survives_the_round_trip() -> None:
    value = {"text": "a\nb", "number": 1e300, "nested": [{"x": None}, True]}
    assert arguments.task_input(json.dumps(value)) == value
