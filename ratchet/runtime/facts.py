"""What an exception knows beside its message: base classes, errno, HTTP status, the file or name it is about.

Read by duck typing, so that no library has to be imported, and from exceptions of any author: reading never fails.
"""

import errno
from typing import Any

from ratchet.plain import text

_BASES_MAX = 12
_CHARACTERS_MAX = 1024
_STATUS_MIN, _STATUS_MAX = 100, 599
_UNTELLING = ("object", "BaseException")


def bases_of(error: BaseException) -> list[type]:
    """The classes that an exception is one of beside its own, nearest first, without those that all are."""
    return [one for one in type(error).__mro__[1:] if one.__name__ not in _UNTELLING][:_BASES_MAX]


def facts_of(error: BaseException) -> dict[str, Any]:
    """What can be told of `errno` (by name), `filename`, `http_status`, `retry_after`, `name` and `key`."""
    found = {
        "errno": _errno(error),
        "filename": _text(_attribute(error, "filename")) if isinstance(error, OSError) else None,
        "http_status": _http_status(error),
        "retry_after": _retry_after(error),
        "name": _name(error),
        "key": _key(error),
    }
    return {name: value for name, value in found.items() if value is not None}


def _errno(error: BaseException) -> str | None:
    number = _attribute(error, "errno") if isinstance(error, OSError) else None
    return errno.errorcode.get(number) if isinstance(number, int) else None


def _name(error: BaseException) -> str | None:
    if isinstance(error, (NameError, AttributeError, ImportError)):
        return _text(_attribute(error, "name"))
    return None


def _key(error: BaseException) -> str | None:
    return _text(error.args[0]) if isinstance(error, KeyError) and error.args else None


def _http_status(error: BaseException) -> int | None:
    """The status of the answer that made a client raise, wherever that client keeps it."""
    names = ["status_code", "status"]
    if "http" in type(error).__name__.lower():  # elsewhere `code` is anything
        names.append("code")
    holders = (error, _attribute(error, "response"))
    for value in (_attribute(holder, name) for holder in holders if holder is not None for name in names):
        if isinstance(value, int) and not isinstance(value, bool) and _STATUS_MIN <= value <= _STATUS_MAX:
            return int(value)
    return None


def _retry_after(error: BaseException) -> str | None:
    for holder in (_attribute(error, "response"), error):
        headers = None if holder is None else _attribute(holder, "headers")
        get = None if headers is None else _attribute(headers, "get")
        if callable(get):
            try:
                return _text(get("retry-after") or get("Retry-After"))
            except Exception:  # noqa: BLE001 - the author's own mapping
                return None
    return None


def _attribute(holder: object, name: str) -> object:
    try:
        return getattr(holder, name, None)
    except Exception:  # noqa: BLE001 - properties of the author's class may raise anything
        return None


def _text(value: object) -> str | None:
    return text(value, _CHARACTERS_MAX) if isinstance(value, str) and value else None
