"""The example shows every key with its default, and the reference page is what the model says."""

import re
from pathlib import Path
from typing import Any

import pytest

from ratchet.config import Config, load_config
from ratchet.config.document import read_document
from ratchet.config.keys import ANY, every_key, is_secret
from ratchet.config.reference import reference
from ratchet.config.settle import SAME
from ratchet.project import find_project

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config.example.yaml"
PAGE = ROOT / "docs" / "reference" / "configuration.md"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "run").mkdir(mode=0o700)
    return {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")}


def everything(tmp_path: Path) -> dict[str, Any]:
    """The example's data once each `#key: value` is live, instead of an empty list of the same name beside it."""
    lines = EXAMPLE.read_text().splitlines()
    uncommented = [re.sub(r"^(\s*)#(?=\S|\s{2})", r"\1", line) for line in lines]
    names = {line.partition(":")[0] for line, old in zip(uncommented, lines, strict=True) if line != old}
    shown = tmp_path / "everything.yaml"
    shown.write_text(
        "\n".join(
            line
            for line, old in zip(uncommented, lines, strict=True)
            if not (line == old and line.endswith(": []") and line.partition(":")[0] in names)
        )
    )
    return read_document(shown, as_text=is_secret).data


def paths(data: object, prefix: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """Every key path of plain data, lists as `*`."""
    found: set[tuple[str, ...]] = set()
    if isinstance(data, dict):
        for name, value in data.items():  # pyright: ignore[reportUnknownVariableType] - plain data
            path = (*prefix, str(name))  # pyright: ignore[reportUnknownArgumentType] - plain data
            found |= {path} | paths(value, path)  # pyright: ignore[reportUnknownArgumentType] - plain data
    elif isinstance(data, list):
        for value in data:  # pyright: ignore[reportUnknownVariableType] - plain data
            found |= paths(value, (*prefix, ANY))  # pyright: ignore[reportUnknownArgumentType] - plain data
    return found


def test_the_example_is_the_defaults(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "ratchet.yaml").write_text(EXAMPLE.read_text())
    with_example = load_config(find_project(None, None, environ, tmp_path), environ=environ)
    (tmp_path / "ratchet.yaml").unlink()

    assert with_example == load_config(find_project(None, None, environ, tmp_path), environ=environ).with_warnings(
        with_example.warnings
    )


def test_the_example_gives_every_key_that_has_a_fixed_default() -> None:
    live = paths(read_document(EXAMPLE).data)
    computed = {("data_dir",), ("tasks", "python")} | {alias for alias, _ in SAME}
    expected = {
        key.path
        for key in every_key()
        if ANY not in key.path and key.path not in computed and key.field.default is not None
    }

    assert expected - live == set()


def test_the_example_shows_every_key_of_the_model_and_no_other(tmp_path: Path) -> None:
    data = everything(tmp_path)
    shown = paths(data)
    known = {key.path for key in every_key()}

    assert known - shown == set()
    assert Config.model_validate({**data, "data_dir": tmp_path}).mcp.server.auth.api_keys[0].name == "assistant"


def test_the_reference_page_is_what_the_model_says() -> None:
    assert PAGE.read_text() == reference(), "run: python -m ratchet.config.reference > docs/reference/configuration.md"


def test_the_reference_page_mentions_every_key_with_a_meaning() -> None:
    page = PAGE.read_text()
    keys = [key for key in every_key() if key.section is None]

    assert [key.text for key in keys if f"| `{key.text}` |" not in page] == []
    assert [key.text for key in keys if not key.field.description] == []
