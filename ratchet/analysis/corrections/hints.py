"""What an error message says would have been right: "did you mean …", the values there are, the bounds of a number.

Only what is written is found; nothing is guessed. Messages of any length and any content are read in linear time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_CHARACTERS_MAX = 4_000
_ITEMS_MAX = 200

_QUOTED = r"(?<!\w)'([^'\n]{1,200})'(?!\w)", r"\"([^\"\n]{1,200})\"", r"`([^`\n]{1,200})`"
_QUOTES = tuple(re.compile(pattern) for pattern in _QUOTED)

_MEANT = re.compile(
    r"\b(?:did you mean|(?:perhaps|maybe) you meant|closest(?: match)?(?: is)?|most similar(?: is)?)\b[: ]{0,3}"
    r"(?:'([^'\n]{1,200})'|\"([^\"\n]{1,200})\"|`([^`\n]{1,200})`|([\w./@+-]{1,200}))",
    re.IGNORECASE,
)

# A list of what is right follows these words …
_LIST_AFTER = re.compile(
    r"\b(?:one of|any of|(?:choose|pick|select) (?:from|between)|there (?:are|is)(?: only)?|not in)\b"
    r"|\b(?:available|allowed|valid|known|supported|possible|accepted|permitted|existing|expected|choices|options"
    r"|candidates)\b(?: [\w-]{1,30}){0,3}?(?: (?:are|is|include|includes)\b| ?[:=]|(?= ?[\[({'\"`]))"
    r"|\b(?:(?:must|should|has to|have to|needs to|need to) be|use|try)(?= ['\"`\[({])",
    re.IGNORECASE,
)
# … unless these come right before them: "'x' is not a valid choice: …", "not allowed: …".
_DENIED = re.compile(r"\b(?:not|no|isn't|never|un)(?: an?| in(?: the)?)?\s*$", re.IGNORECASE)
_OPENING = re.compile(r"[\s:=]{0,4}(?:(?:dict_keys|dict_values|Index|frozenset|set|list|tuple)\()?([\[({]{0,2})\s?")
_SEPARATOR = re.compile(r"\s?(?:,\s?(?:or|and)\s|,|\s(?:or|and)\s|\||/)\s{0,2}")
_QUOTED_ITEM = re.compile(r"'([^'\n]{1,200})'|\"([^\"\n]{1,200})\"|`([^`\n]{1,200})`")
_BARE_ITEM = re.compile(r"[\w.+@/-]{1,100}")
_NO_ITEMS = frozenset(("got", "given", "not", "but", "was", "received", "none", "None", "or", "and", "the", "a"))

_NUMBER = r"([-+]?\d[\d_]{0,20}(?:\.\d{1,20})?(?:[eE][-+]?\d{1,3})?)"
_BETWEEN = re.compile(
    rf"\b(?:between|from)\s{_NUMBER}\s(?:and|to)\s{_NUMBER}"
    rf"|\b(?:in|within|out of)(?: the)? (?:range|interval)[:\s]{{1,2}}[\[(]?{_NUMBER}\s?"
    rf"(?:,|to|-|\.\.\.?|…)\s?{_NUMBER}",
    re.IGNORECASE,
)
_AT_MOST = re.compile(
    r"(?:\bat most|\bno (?:more|greater|larger|higher) than|(?:not|cannot|can't|never)(?: be)? (?:more|greater|larger"
    r"|higher|bigger|longer) than|(?:not|cannot|can't) exceed|\bless than or equal to|\bup to"
    rf"|\bmax(?:imum)?(?: allowed)?(?: (?:is|of))?|<=|≤)[\s:=]{{0,3}}{_NUMBER}",
    re.IGNORECASE,
)
_AT_LEAST = re.compile(
    r"(?:\bat least|\bno (?:less|fewer|smaller|lower) than|(?:not|cannot|can't|never)(?: be)? (?:less|fewer|smaller"
    rf"|lower) than|\bgreater than or equal to|\bmin(?:imum)?(?: allowed)?(?: (?:is|of))?|>=|≥)[\s:=]{{0,3}}{_NUMBER}",
    re.IGNORECASE,
)
_BELOW = re.compile(rf"(?:\b(?:less|smaller|lower|fewer) than|\bbelow|<)\s{{0,2}}{_NUMBER}", re.IGNORECASE)
_ABOVE = re.compile(rf"(?:\b(?:greater|more|larger|higher) than|\babove|>)\s{{0,2}}{_NUMBER}", re.IGNORECASE)
_DIGIT = re.compile(r"\d")
_POSITIVE = re.compile(r"\b(?:must|should|has to|needs to) be (?:strictly )?positive\b", re.IGNORECASE)
_NOT_NEGATIVE = re.compile(r"\b(?:(?:must|can|may|should)(?: ?not|n't) be negative|non-negative)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of a number; None where nothing is said."""

    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    below: float | None = None

    def __bool__(self) -> bool:
        """Whether anything is said."""
        return any(one is not None for one in (self.at_least, self.at_most, self.above, self.below))


@dataclass(frozen=True, slots=True)
class Hint:
    """What one message says.

    Attributes:
        meant: What it asks whether it was meant, in order.
        allowed: What it lists as right, in order.
        bounds: Within which a number must be.
        quoted: Everything in quotes: what is wrong is among it.
    """

    meant: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    bounds: Bounds = Bounds()
    quoted: tuple[str, ...] = ()


def read_hint(message: str) -> Hint:
    """What a message says would have been right."""
    text = message[:_CHARACTERS_MAX]
    meant = tuple(dict.fromkeys(_group(match).rstrip("?.") for match in _MEANT.finditer(text)))
    return Hint(meant, listed(text), _bounds(text), quoted(text))


def listed(message: str) -> tuple[str, ...]:
    """The values that a message lists as right, in order."""
    return tuple(dict.fromkeys(_allowed(message[:_CHARACTERS_MAX])))[:_ITEMS_MAX]


def quoted(message: str) -> tuple[str, ...]:
    """Every text in quotes, also those within other quotes."""
    text = message[:_CHARACTERS_MAX]
    return tuple(dict.fromkeys(found for pattern in _QUOTES for found in pattern.findall(text)))


def _allowed(text: str) -> Iterator[str]:
    for match in _LIST_AFTER.finditer(text):
        if not (_DENIED.search(text[max(0, match.start() - 20) : match.start()])):
            yield from _items(text, match.end())


def _items(text: str, at: int) -> Iterator[str]:
    opening = _OPENING.match(text, at)
    assert opening is not None  # it may be empty
    at = opening.end()
    item = _QUOTED_ITEM if _QUOTED_ITEM.match(text, at) else _BARE_ITEM
    found: list[str] = []
    while len(found) < _ITEMS_MAX and (match := item.match(text, at)):
        found.append(_group(match) if item is _QUOTED_ITEM else match[0].rstrip("."))
        separator = _SEPARATOR.match(text, match.end())
        if separator is None:
            break
        at = separator.end()
    if item is _BARE_ITEM:
        if len(found) == 1 and not opening[1]:
            return  # "there is something": a word, not a list
        found = [one for one in found if one and one not in _NO_ITEMS]
    yield from found


def _bounds(text: str) -> Bounds:
    if _DIGIT.search(text) is None:
        return Bounds(at_least=_sign(_NOT_NEGATIVE, text), above=_sign(_POSITIVE, text))
    between = _BETWEEN.search(text)
    if between is not None:
        low, high = (float(one) for one in between.groups() if one is not None)
        return Bounds(at_least=min(low, high), at_most=max(low, high))
    at_most, at_least = _number(_AT_MOST, text), _number(_AT_LEAST, text)
    rest = _AT_LEAST.sub(" ", _AT_MOST.sub(" ", text))  # "not greater than 3" is no "greater than 3"
    above, below = _number(_ABOVE, rest), _number(_BELOW, rest)
    return Bounds(
        at_least=_sign(_NOT_NEGATIVE, text) if at_least is None else at_least,
        at_most=at_most,
        above=_sign(_POSITIVE, text) if above is None else above,
        below=below,
    )


def _sign(pattern: re.Pattern[str], text: str) -> float | None:
    return 0.0 if pattern.search(text) else None


def _number(pattern: re.Pattern[str], text: str) -> float | None:
    match = pattern.search(text)
    return None if match is None else float(match[1])


def _group(match: re.Match[str]) -> str:
    return next((group for group in match.groups() if group), "")
