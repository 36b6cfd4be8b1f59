"""What is wrong with a configuration: collected, so that everything is reported at once, each with its line and key."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ratchet.errors import ConfigError

KeyPath = tuple[str | int, ...]


def dotted(path: KeyPath) -> str:
    """A key path as people write it: `mcp.server.auth.api_keys[0].key`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


@dataclass(frozen=True, slots=True)
class Source:
    """Where values come from: the file, and on which line each key of it stands.

    Attributes:
        file: The file; None where there is none and everything is a default.
        lines: Line, from 1, of every key path the file has.
    """

    file: Path | None = None
    lines: Mapping[KeyPath, int] = field(default_factory=dict[KeyPath, int])

    def line(self, path: KeyPath) -> int | None:
        """The line of this key, else of the nearest key around it; None where the file has none of them."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return None

    def place(self, path: KeyPath) -> str:
        """`file:line: key.path`, as far as they are known."""
        return self.locate(self.line(path), dotted(path))

    def locate(self, line: int | None, key: str) -> str:
        """`file:line: key`, without what is not known."""
        file = "" if self.file is None else f"{self.file}:" if line is None else f"{self.file}:{line}:"
        return " ".join(part for part in (file, key) if part)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and what would be right."""

    path: KeyPath
    line: int | None
    message: str


class Problems:
    """All that is wrong with one configuration."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.found: list[Problem] = []

    def add(self, path: KeyPath, message: str) -> None:
        """Notes a problem with the key at `path`."""
        self.found.append(Problem(path, self.source.line(path), message))

    def about(self, path: KeyPath) -> bool:
        """Whether this very key already has a problem."""
        return any(problem.path == path for problem in self.found)

    def raise_if_any(self) -> None:
        """Ends with everything found, in the file's order.

        Raises:
            ConfigError: Something was found; its details list the problems for programs.
        """
        if not self.found:
            return
        ordered = sorted(self.found, key=lambda problem: problem.line or 0)
        raise ConfigError("\n".join(map(self._text, ordered)), details={"problems": [self._facts(p) for p in ordered]})

    def _text(self, problem: Problem) -> str:
        place = self.source.locate(problem.line, dotted(problem.path))
        separator = " " if place.endswith(":") else ": "
        return f"{place}{separator}{problem.message}" if place else problem.message

    def _facts(self, problem: Problem) -> dict[str, str | int | None]:
        file = None if self.source.file is None else str(self.source.file)
        return {"file": file, "line": problem.line, "key": dotted(problem.path), "message": problem.message}
