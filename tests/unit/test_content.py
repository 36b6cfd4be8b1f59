"""Content that tasks return, from its types in a task to the blocks of the protocol."""

from pathlib import Path
from typing import Any

import pytest
from mcp_types import BlobResourceContents, EmbeddedResource, ImageContent, TextContent
from pydantic import ValidationError

from actors.mcp_front.protocol.content import blocks, is_content
from actors.mcp_front.transports.header_values import HeaderValues
from ratchet import task
from ratchet.authoring import definition_of
from ratchet.content import Audio, Content, Image, Resource, Text
from ratchet.schema import Interface

MEDIA = b"\xff\xfe\xfb"


def said(function: Any, value: object) -> tuple[dict[str, Any] | None, Any]:
    """The output schema of a task, and what it gives as JSON."""
    interface = Interface(definition_of(task(function)))
    return interface.output_schema, interface.dump(value, 10_000)


def test_one_piece_of_content_is_one_block() -> None:
    def chart() -> Image: ...  # pyright: ignore[reportReturnType]

    found = blocks(*said(chart, Image(data=MEDIA)))
    assert found == [ImageContent(type="image", data="//77", mime_type="image/png")]


def test_every_kind_keeps_its_place_in_a_list() -> None:
    def report() -> list[Text | Image | Audio | Resource]: ...  # pyright: ignore[reportReturnType]

    value = [Resource(uri="a:b", data=MEDIA, mime_type="x/y"), Text(text="between"), Audio(data=MEDIA)]
    found = blocks(*said(report, value))
    assert found is not None
    document, text, audio = found
    assert isinstance(document, EmbeddedResource)
    assert document.resource == BlobResourceContents(uri="a:b", mime_type="x/y", blob="//77")
    assert text == TextContent(type="text", text="between")
    assert audio.type == "audio"


def test_perhaps_no_content_is_content() -> None:
    def chart() -> Image | None: ...

    assert blocks(*said(chart, None)) == []


def test_data_is_not_content_whatever_it_looks_like() -> None:
    def data() -> dict[str, str]: ...  # pyright: ignore[reportReturnType]
    def both() -> list[Image | str]: ...  # pyright: ignore[reportReturnType]
    def inside() -> dict[str, Image]: ...  # pyright: ignore[reportReturnType]
    def nothing() -> None: ...

    values = [{"type": "text", "text": "x"}, [Image(data=MEDIA), "x"], {"a": Image(data=MEDIA)}, None]
    for function, value in zip((data, both, inside, nothing), values, strict=True):
        schema, _ = said(function, value)
        assert not is_content(schema)
    assert not is_content(None)


def test_what_does_not_fit_any_more_is_taken_for_data() -> None:
    def chart() -> Image: ...  # pyright: ignore[reportReturnType]

    schema, _ = said(chart, Image(data=MEDIA))
    assert blocks(schema, {"type": "image"}) is None


def test_a_file_says_what_it_is_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "chart.svg"
    path.write_bytes(MEDIA)

    assert Image.read(path) == Image(data=MEDIA, mime_type="image/svg+xml")


def test_text_is_no_picture_and_content_as_such_is_none() -> None:
    with pytest.raises(ValidationError, match="bytes"):
        Image.model_validate({"data": "aGVsbG8="})
    with pytest.raises(NotImplementedError, match="return Text, Image, Audio or Resource"):
        Content().block()


async def test_blanks_around_a_header_value_are_no_part_of_it() -> None:
    seen: list[Any] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope)

    given = {"type": "http", "headers": [(b"mcp-name", b"\t a b  "), (b"x", b"")]}
    await HeaderValues(app)(given, None, None)  # pyright: ignore[reportArgumentType]
    await HeaderValues(app)({"type": "lifespan"}, None, None)  # pyright: ignore[reportArgumentType]
    assert [one.get("headers") for one in seen] == [[(b"mcp-name", b"a b"), (b"x", b"")], None]
