"""What every answer is made of, and how it stays small enough for a model's context window.

An answer says everything twice: structured for programs, and as text, cause first, for hosts that show only text. The
text and every list in the structured part have a budget of characters; what is left out is counted, and the answer
names the call that shows it. Knows nothing of executions.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from mcp_types import CallToolResult, TextContent

from ratchet.bodies.asks import AskRecord
from ratchet.models import JsonObject

TEXT_CHARACTERS_MAX = 8_000
MAX_SPANS = 100  # by default; whoever asks for more wants a longer answer
LIST_CHARACTERS_MAX = 7_000  # structured lists: the rest of 8,000 is for what stands around them
# A result is at most 256 KiB on the wire: this much structured content, and 8,000 characters of up to six bytes each.
STRUCTURED_BYTES_MAX = 200 * 1024

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a tool.

    Attributes:
        structured: Fits the tool's output schema.
        text: The same for reading.
        failed: The call or the execution it is about failed.
        characters_max: Where the text is cut.
        asks: What the client is to be asked, before it makes the same call again.
    """

    structured: JsonObject
    text: str
    failed: bool = False
    characters_max: int = TEXT_CHARACTERS_MAX
    asks: tuple[AskRecord, ...] = ()

    def result(self) -> CallToolResult:
        """As the protocol has it."""
        return CallToolResult(
            content=[TextContent(type="text", text=clip(self.text, self.characters_max))],
            structured_content=self.structured,
            is_error=self.failed,
        )


def compact(value: Any) -> str:
    """A JSON value as text for reading."""
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "), default=str)


def wire_bytes(text: str) -> int:
    """At most how many bytes this JSON text takes on the wire, where other than ASCII may be escaped."""
    return len(text) if text.isascii() else len(json.dumps(text))


def clip(text: str, characters_max: int) -> str:
    """The beginning of a long text and how much is missing."""
    if len(text) <= characters_max:
        return text
    note = f"… [{len(text) - characters_max} more characters]"
    return text[: max(0, characters_max - len(note))] + note


def clip_start(text: str, characters_max: int) -> str:
    """The end of a long text (a traceback's cause is there) and how much is missing."""
    if len(text) <= characters_max:
        return text
    note = f"[{len(text) - characters_max} more characters] …"
    return note + text[len(text) - max(0, characters_max - len(note)) :]


def fitting(items: Iterable[ItemT], sizes: Iterable[int], characters_max: int) -> list[ItemT]:
    """As many of the first items as fit together; at least one, so that paging always gets on."""
    taken: list[ItemT] = []
    left = characters_max
    for item, size in zip(items, sizes, strict=True):
        if taken and size > left:
            break
        taken.append(item)
        left -= size
    return taken


def paragraphs(parts: Sequence[str | None]) -> str:
    """The parts that are there, one a line."""
    return "\n".join(part for part in parts if part)
