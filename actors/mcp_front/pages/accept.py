"""Which of two forms a client wants: JSON unless it says that it prefers HTML, as browsers do. Pure."""

from collections.abc import Mapping

_HTML = ("text/html", "application/xhtml+xml")
_JSON = ("application/json",)


def prefers_html(accept: str) -> bool:
    """Whether an `Accept` header names HTML and names JSON less. `*/*` asks for nothing in particular."""
    qualities = dict(_range(part) for part in accept.split(","))
    return _best(qualities, _HTML) > _best(qualities, _JSON)


def _best(qualities: Mapping[str, float], types: tuple[str, ...]) -> float:
    return max(qualities.get(name, 0.0) for name in types)


def _range(part: str) -> tuple[str, float]:
    name, *parameters = (one.strip().lower() for one in part.split(";"))
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            return name, _quality(value)
    return name, 1.0


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
