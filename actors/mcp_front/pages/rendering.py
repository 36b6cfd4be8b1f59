"""How a page is made of a template, and what a browser may do with it.

What tasks say is hostile: every value is escaped by the template engine, and characters that would act rather than
show (control characters, changes of direction) are spelt out. Should a value get through all the same, the policy that
is sent with the page lets nothing run, load or be sent anywhere.
"""

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

# Controls but tab and line feed, marks and overrides of direction, separators of lines, and halves of surrogate pairs.
_ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def visible(text: str) -> str:
    r"""The text with characters that act spelt out, such as `\u202e`."""
    return _ACTING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def page(template: str, *, status: int = 200, form: bool = False, **values: Any) -> HTMLResponse:
    """A page as a response.

    Args:
        template: A file in `templates`.
        status: Of the response.
        form: The page has one; it may be sent to this server.
        values: What the template shows.
    """
    # In the page rather than beside it: a page that was fetched with a key and saved keeps its looks.
    style = Markup(_style()[0])  # noqa: S704 - a file of this package
    content = _environment().get_template(template).render(style=style, **values)
    return HTMLResponse(content, status_code=status, headers=_headers(form=form))


def _headers(*, form: bool) -> dict[str, str]:
    policy = (
        "default-src 'none'",
        f"style-src '{_style()[1]}'",
        "base-uri 'none'",
        f"form-action '{'self' if form else 'none'}'",
        "frame-ancestors 'none'",
    )
    return {
        "Cache-Control": "no-store",
        "Content-Security-Policy": "; ".join(policy),
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "Vary": "Accept",
        "X-Content-Type-Options": "nosniff",
    }


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("actors.mcp_front.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_final,
    )


def _final(value: object) -> object:
    return visible(value) if type(value) is str else value  # Markup is a template's own


@cache
def _style() -> tuple[str, str]:
    """The style sheet, and how the policy names it."""
    text = files(__package__ or "").joinpath("templates", "style.css").read_text(encoding="utf-8")
    digest = hashlib.sha256(text.encode()).digest()
    return text, f"sha256-{base64.b64encode(digest).decode()}"
