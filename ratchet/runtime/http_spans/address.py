"""Where a request goes, as it may be shown: without user, password, fragment and the secrets in its query. Pure."""

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote_plus, urlsplit

from ratchet.secretnames import is_secret_name

HIDDEN = "[redacted]"
_URL_CHARACTERS_MAX = 2_000
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

# Names that elsewhere say little, but whose value in a query is what lets somebody in.
_SECRET_IN_QUERY = frozenset(
    ("key", "sig", "signature", "auth", "jwt", "sid", "session", "sessionid", "appid", "otp", "pin", "awsaccesskeyid")
)
_SECRET_SUFFIXES = ("-signature", "-credential", "-security-token")  # X-Amz-…, X-Goog-…
_NAME_IN_VALUE = re.compile(r"([A-Za-z][\w.-]{0,63})[\"']?\s{0,4}[=:]")
_USER_IN_VALUE = re.compile(r"://[^/?#\s]{0,255}@")


@dataclass(frozen=True, slots=True)
class Address:
    """What of a URL may be shown.

    Attributes:
        url: The whole, at most 2,000 characters.
        host: In lower case; an IPv6 address without its brackets.
        port: Also where the URL leaves it out; None where the scheme has no usual one.
        origin: Host, and port where it is not the usual one.
    """

    url: str
    host: str
    port: int | None
    origin: str


def address_of(url: str) -> Address:
    """The address in an absolute URL.

    Raises:
        ValueError: It is no URL.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    usual = _DEFAULT_PORTS.get(parts.scheme)
    port = parts.port or usual
    origin = f"[{host}]" if ":" in host else host
    if port != usual:
        origin = f"{origin}:{port}"
    return Address(_shown(parts, origin), host, port, origin)


def _shown(parts: SplitResult, origin: str) -> str:
    url = f"{parts.scheme}://{origin}{parts.path or '/'}"
    if parts.query:
        url = f"{url}?{'&'.join(map(_parameter, parts.query.split('&')))}"
    return url if len(url) <= _URL_CHARACTERS_MAX else f"{url[: _URL_CHARACTERS_MAX - 1]}…"


def _parameter(written: str) -> str:
    name, equals, value = written.partition("=")
    if value and (_is_secret(unquote_plus(name)) or _holds_secret(unquote_plus(value))):
        return f"{name}{equals}{HIDDEN}"
    return written


def _is_secret(name: str) -> bool:
    lowered = name.lower()
    return lowered in _SECRET_IN_QUERY or lowered.endswith(_SECRET_SUFFIXES) or is_secret_name(name)


def _holds_secret(value: str) -> bool:
    """Whether a value is itself a URL, an object or the like with something secret in it."""
    return _USER_IN_VALUE.search(value) is not None or any(map(is_secret_name, _NAME_IN_VALUE.findall(value)))
