"""A YAML file as plain data, with the line of every key: read with suspicion, since anybody's editor wrote it.

Only what a configuration needs: mappings with text keys, lists, text, numbers, booleans, null. No tags, no merge keys,
bounded in size, depth and in what aliases may expand to. Knows nothing of the configuration's keys.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from ratchet.config.problems import KeyPath, Problems, Source
from ratchet.errors import ConfigError
from ratchet.project import CONFIG_BYTES_MAX

VALUES_MAX = 20_000
DEPTH_MAX = 32

_TAG = "tag:yaml.org,2002:"
_TYPED = {f"{_TAG}bool", f"{_TAG}int", f"{_TAG}float"}
_TEXT = {f"{_TAG}str", f"{_TAG}timestamp", f"{_TAG}value"}


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says."""

    data: dict[str, Any]
    source: Source

    def has(self, *path: str) -> bool:
        """Whether the file gives this key a value."""
        found: Any = self.data
        for part in path:
            if not isinstance(found, dict):
                return False
            found = found.get(part)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - plain data
        return found is not None


def read_document(path: Path, *, as_text: Callable[[KeyPath], bool] = lambda path: False) -> Document:
    """The file's data.

    Args:
        path: The file.
        as_text: Key paths whose scalars stay the text that was written: `key: 0123` is no octal number.

    Raises:
        ConfigError: It cannot be read, is no YAML, or holds what no configuration does; every duplicate key at once.
    """
    text = _text(path)
    try:
        # Characters are checked when the loader is made. It holds nothing that needs closing.
        loader = _Loader(text)
        node = loader.get_single_node()
        reader = _Reader(loader, path, as_text)
        data = {} if node is None else reader.top(node)
    except yaml.MarkedYAMLError as error:
        raise ConfigError(_syntax(path, error)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(f"{path}:{line}: {chr(error.character)!r} is a character that YAML does not allow") from None
    reader.problems.raise_if_any()
    return Document(data, Source(path, reader.lines))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(CONFIG_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > CONFIG_BYTES_MAX:
        raise ConfigError(f"{path}: larger than {CONFIG_BYTES_MAX} bytes: this is no configuration file")
    if b"\0" in content:
        raise ConfigError(f"{path}: holds NUL bytes: this is a binary file, or text in UTF-16; save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path}:{line}: byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8"
        ) from None


def _syntax(path: Path, error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    place = f"{path}" if mark is None else f"{path}:{mark.line + 1}"
    said = ", ".join(part for part in (error.context, error.problem) if part)
    if mark is not None and error.context_mark is not None and error.context_mark.line != mark.line:
        said += f" (what it belongs to starts on line {error.context_mark.line + 1})"
    if "'\\t'" in said:
        said += "; indent with spaces, not tabs"
    if "'{'" in said:
        said += "; inside braces, put ${NAME} in quotes"
    return f"{place}: {said}"


class _Loader(yaml.SafeLoader):
    """Stops composing as soon as a file is too large or too deep to be meant."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._values = 0
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._values += 1
        self._depth += 1
        if self._values > VALUES_MAX:
            raise self._refusal(f"holds more than {VALUES_MAX} values")
        if self._depth > DEPTH_MAX:
            raise self._refusal(f"nested deeper than {DEPTH_MAX} levels")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def _refusal(self, problem: str) -> yaml.MarkedYAMLError:
        event = cast("Any", self.peek_event())  # pyright: ignore[reportUnknownMemberType] - untyped there
        return yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


class _Reader:
    """Turns nodes into data, noting lines. An alias is walked every time it is used, so the bounds hold for it too."""

    def __init__(self, loader: _Loader, path: Path, as_text: Callable[[KeyPath], bool]) -> None:
        self._loader = loader
        self._as_text = as_text
        self._values = 0
        self.lines: dict[KeyPath, int] = {}
        self.problems = Problems(Source(path, self.lines))

    def top(self, node: yaml.Node) -> dict[str, Any]:
        data = self._value(node, ())
        if data is None:
            return {}
        if not isinstance(data, dict):
            raise yaml.MarkedYAMLError(
                problem="the file must be a mapping of keys such as `workers:`, not a single value or a list",
                problem_mark=node.start_mark,
            )
        return data  # pyright: ignore[reportUnknownVariableType] - plain data

    def _value(self, node: yaml.Node, path: KeyPath) -> Any:
        self._values += 1
        if self._values > VALUES_MAX or len(path) > DEPTH_MAX:
            problem = f"its aliases expand to more than {VALUES_MAX} values or {DEPTH_MAX} levels"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            return self._sequence(node, path)
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key, value in node.value:
            name = self._name(key)
            inner = (*path, name)
            if name in data:
                first = self.lines[inner]
                self.problems.add(inner, f"given again on line {_line(key)}, first on line {first}; keep one of them")
                continue
            self.lines[inner] = _line(key)
            data[name] = self._value(value, inner)
        return data

    def _name(self, key: yaml.Node) -> str:
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.MarkedYAMLError(problem="a key must be plain text", problem_mark=key.start_mark)
        if key.tag == f"{_TAG}merge":
            raise yaml.MarkedYAMLError(
                problem="merge keys (<<) are not supported; write the keys out", problem_mark=key.start_mark
            )
        return str(key.value)

    def _sequence(self, node: yaml.SequenceNode, path: KeyPath) -> list[Any]:
        items: list[Any] = []
        for index, item in enumerate(node.value):
            inner = (*path, index)
            self.lines[inner] = _line(item)
            items.append(self._value(item, inner))
        return items

    def _scalar(self, node: yaml.Node, path: KeyPath) -> Any:
        if node.tag == f"{_TAG}null":
            return None
        if node.tag in _TEXT or (node.tag in _TYPED and self._as_text(path)):
            return str(node.value)
        if node.tag not in _TYPED:
            raise yaml.MarkedYAMLError(problem=f"the tag {node.tag} is not supported", problem_mark=node.start_mark)
        try:
            return self._loader.construct_object(node)  # pyright: ignore[reportUnknownMemberType] - untyped there
        except ValueError:
            kind = node.tag.removeprefix(_TAG)
            raise yaml.MarkedYAMLError(
                problem=f"{str(node.value)[:40]!r} is no {kind}", problem_mark=node.start_mark
            ) from None


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1
