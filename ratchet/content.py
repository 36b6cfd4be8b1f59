"""Content for eyes and ears: what a task returns where its output is a picture rather than data.

    @task
    def chart(rows: list[Row]) -> Image:
        return Image(data=draw(rows), mime_type="image/png")

A task returns one of these, or a list of them. Where it is a tool of its own, agents get such content as MCP has it;
everywhere else the output is its JSON. Knows nothing of MCP's library: children do not have it.
"""

from base64 import b64encode
from mimetypes import guess_type
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_serializer
from pydantic_core import CoreSchema

MARK = "x-mcp-content"  # in the JSON schema of an output: which kind of content this is
_UNKNOWN = "application/octet-stream"


class Content(BaseModel):
    """A block of content. Its JSON is that of the protocol."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    kind: ClassVar[str]

    def block(self) -> dict[str, Any]:
        """As the protocol has it."""
        raise NotImplementedError(f"{type(self).__name__} is no kind of content: return Text, Image, Audio or Resource")

    @model_serializer
    def _as_json(self) -> dict[str, Any]:
        return self.block()  # of whichever kind this is: in a union pydantic may ask another kind's serializer

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """An object of which no more is said than that it is content."""
        return {"type": "object", MARK: cls.kind}


class Text(Content):
    """Words between other content. A task that returns nothing else returns a `str`."""

    kind = "text"
    text: str

    def block(self) -> dict[str, Any]:
        """As the protocol has it."""
        return {"type": "text", "text": self.text}


class _Media(Content):
    data: bytes
    mime_type: str

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """The file's content; its name says what it is."""
        return cls(data=Path(path).read_bytes(), mime_type=guess_type(str(path))[0] or _UNKNOWN)

    def block(self) -> dict[str, Any]:
        """As the protocol has it."""
        return {"type": self.kind, "data": b64encode(self.data).decode(), "mimeType": self.mime_type}


class Image(_Media):
    """A picture: the bytes of its file, and what kind of file that is."""

    kind = "image"
    mime_type: str = "image/png"


class Audio(_Media):
    """Sound: the bytes of its file, and what kind of file that is."""

    kind = "audio"
    mime_type: str = "audio/wav"


class Resource(Content):
    """A document, as part of the result: its text, or its bytes.

    Attributes:
        uri: What it is called; nobody needs to be able to read it from there.
        text: Its text.
        data: Its bytes, where it is no text.
        mime_type: What it is.
    """

    kind = "resource"
    uri: str
    text: str | None = None
    data: bytes | None = None
    mime_type: str = "text/plain"

    def block(self) -> dict[str, Any]:
        """As the protocol has it."""
        resource = {"uri": self.uri, "mimeType": self.mime_type}
        if self.data is not None:
            resource["blob"] = b64encode(self.data).decode()
        else:
            resource["text"] = self.text or ""
        return {"type": "resource", "resource": resource}
