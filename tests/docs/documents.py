"""The documents and what is in them: for the tests beside this file."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^```(\S*)[ ]?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a document."""

    language: str
    note: str  # what follows the language on the fence's line
    text: str


def documents() -> list[Path]:
    """Every document of the project."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def read(name: str) -> str:
    """A document, by its path from the root."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[Block]:
    """The blocks of a document in one language, in order."""
    found = (Block(*match.groups()) for match in _FENCE.finditer(read(name)))
    return [block for block in found if block.language == language]


def links(text: str) -> Iterator[str]:
    """Where a document's links lead; code is left out."""
    prose = _FENCE.sub("", text)
    yield from (match[1] for match in _LINK.finditer(prose))


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next one of any level; empty where there is no such heading."""
    parts = re.split(rf"^#+ {re.escape(heading)}$", text, maxsplit=1, flags=re.MULTILINE)
    return re.split(r"^#", parts[1], maxsplit=1, flags=re.MULTILINE)[0] if len(parts) > 1 else ""
