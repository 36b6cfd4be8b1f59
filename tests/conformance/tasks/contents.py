"""The suite's tools that return something: text, media, data, an error. Ids and answers are the suite's."""

import base64
import time

from pydantic import BaseModel

from ratchet import task
from ratchet.content import Audio, Image, Resource, Text

_PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
)
_SILENCE = base64.b64decode("UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAAAAA==")


@task(id="test_simple_text")
def simple_text() -> str:
    """Return a text."""
    return "This is a simple text response for testing."


@task(id="test_image_content")
def image_content() -> Image:
    """Return a picture."""
    return Image(data=_PIXEL)


@task(id="test_audio_content")
def audio_content() -> Audio:
    """Return a sound."""
    return Audio(data=_SILENCE)


@task(id="test_embedded_resource")
def embedded_resource() -> Resource:
    """Return a document."""
    return Resource(uri="test://embedded-resource", text="This is an embedded resource content.")


@task(id="test_multiple_content_types")
def multiple_content_types() -> list[Text | Image | Resource]:
    """Return a text, a picture and a document."""
    document = Resource(
        uri="test://mixed-content-resource", text='{"test":"data","value":123}', mime_type="application/json"
    )
    return [Text(text="Multiple content types test:"), Image(data=_PIXEL), document]


class Weather(BaseModel):
    """What `test_structured_content` returns."""

    city: str
    degrees: float


@task(id="test_structured_content")
def structured_content(city: str = "Bern") -> Weather:
    """Return an object; the suite itself has no tool of this kind."""
    return Weather(city=city, degrees=21.5)


@task(id="test_error_handling")
def error_handling() -> None:
    """Fail."""
    raise RuntimeError("This tool intentionally returns an error for testing")


@task(id="test_reconnection")
def reconnection() -> str:
    """Take a moment."""
    time.sleep(0.1)
    return "Reconnection test completed"
