"""The HTTP requests that a task makes, as spans of kind "client", whichever of the usual libraries makes them."""

from ratchet.runtime.http_spans.installation import install

__all__ = ["install"]
