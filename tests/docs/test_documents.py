"""The documents hang together: links lead somewhere, files that are named exist, the README is short."""

import ast
import json
import re
from pathlib import Path

import pytest

from tests.docs.documents import ROOT, blocks, documents, links, read

README_LINES_MAX = 150
_FILE = re.compile(
    r"`((?:ratchet|ipc|actors|tests|examples|benchmarks|docs)/[\w./*-]+|[\w-]+\.(?:py|toml|yaml|md|txt))`"
)


def exists(name: str) -> bool:
    """Whether there is such a file: at this path from the root, or, for a bare name, somewhere in the code."""
    if any(ROOT.glob(name.rstrip("/"))):
        return True
    return "/" not in name and any(path for top in ("ratchet", "ipc", "actors") for path in (ROOT / top).rglob(name))


@pytest.mark.parametrize("name", [str(path.relative_to(ROOT)) for path in documents()])
def test_every_link_of_a_document_leads_somewhere(name: str) -> None:
    folder = (ROOT / name).parent
    local = [link for link in links(read(name)) if not re.match(r"[a-z]+:", link)]
    missing = [link for link in local if not (folder / link.partition("#")[0]).exists()]
    assert missing == []


@pytest.mark.parametrize("name", ["ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "docs/glossary.md"])
def test_every_file_that_a_document_names_exists(name: str) -> None:
    assert [found for found in _FILE.findall(read(name)) if not exists(found)] == []


def test_every_part_of_the_code_is_on_the_map() -> None:
    packages = {f"{path.relative_to(ROOT)}/" for top in ("ratchet", "actors") for path in (ROOT / top).iterdir()
                if path.is_dir() and any(path.glob("*.py"))}  # fmt: skip
    assert sorted(package for package in packages if package not in read("ARCHITECTURE.md")) == []


def test_the_readme_is_short() -> None:
    assert len(read("README.md").splitlines()) <= README_LINES_MAX


@pytest.mark.parametrize("name", [str(path.relative_to(ROOT)) for path in documents()])
def test_what_is_shown_as_python_or_json_is_that(name: str) -> None:
    for block in blocks(name, "python"):
        ast.parse(block.text)
    for block in blocks(name, "json"):
        json.loads(block.text)


def test_every_document_is_reachable_from_the_readme() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        document = waiting.pop()
        if document in seen:
            continue
        seen.add(document)
        found = [(document.parent / link.partition("#")[0]).resolve() for link in links(document.read_text())]
        waiting += [path for path in found if path.suffix == ".md" and path.is_file()]
    assert [path for path in documents() if path not in seen and path != ROOT / "docs" / "README.md"] == []
