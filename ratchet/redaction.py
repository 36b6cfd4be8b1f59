"""Takes secrets out of what a task says before it reaches disk or wire.

Three nets, in this order: secret values that are known (in the encodings they usually turn up in), strings that look
like credentials, and names such as `password` beside which a value stands. Pure; never raises. What a net takes is
replaced by "[redacted]"; redacting twice changes nothing.
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast
from urllib.parse import quote, quote_plus

from ratchet.secretnames import NAME_CHARACTERS, is_secret_name

REDACTED = "[redacted]"
_SECRET_CHARACTERS_MIN = 4
_ENCODED_CHARACTERS_MIN = 8
_LINE_CHARACTERS_MIN = 16
_DEPTH_MAX = 64
_TOO_DEEP = "[redacted: nested too deep]"

# One cheap look at the lower-cased text: only what holds one of these is worth the patterns below.
_GATE = re.compile(
    r"passw|passphrase|pwd|secret|token|[_-]key|(?:api|access|account|private|secret)key|credential|cookie|authoriz"
    r"|bearer |basic |://|private key|a(?:kia|sia|bia|cca|iza)|gh[pousr]_|github_pat_|gl[a-z]{2,5}-|xox[a-z]|xapp-"
    r"|hooks\.slack|sk-|[srp]k_(?:live|test)_|whsec_|eyj|pypi-|npm_|hf_"
)

_CREDENTIALS = (
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:(?!-----END)[\s\S])*(?:-----END [A-Z0-9 ]*-----)?",
    r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b",  # AWS
    r"\bAIza[0-9A-Za-z_-]{35}",  # Google
    r"\bgh[pousr]_[A-Za-z0-9]{20,255}",
    r"\bgithub_pat_[A-Za-z0-9_]{20,255}",
    r"\bgl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|soat|oas)-[A-Za-z0-9_.-]{16,255}",
    r"\bxox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{10,255}",  # Slack
    r"\bxapp-[A-Za-z0-9-]{10,255}",
    r"\bhooks\.slack\.com/services/[A-Za-z0-9/_-]{10,255}",
    r"\bsk-[A-Za-z0-9_-]{16,255}",  # OpenAI, Anthropic
    r"\b[srp]k_(?:live|test)_[A-Za-z0-9]{10,255}",  # Stripe
    r"\bwhsec_[A-Za-z0-9+/=]{16,255}",
    r"\bpypi-[A-Za-z0-9_-]{16,255}",
    r"\bnpm_[A-Za-z0-9]{30,255}",
    r"\bhf_[A-Za-z0-9]{20,255}",
    r"\beyJ[A-Za-z0-9_-]{6,8192}\.[A-Za-z0-9_-]{4,8192}\.[A-Za-z0-9_-]{0,8192}",  # JWT
)
_SHAPES = re.compile("|".join(_CREDENTIALS))

# Quantifiers are possessive (`++`) where a hostile line could make backtracking quadratic. A pattern that meets
# "[redacted]" where it expects a value takes it for one, so that redacting again changes nothing.
_BETWEEN = r"""\\{0,8}+["']?+\s{0,8}+(?:=>|[:=])\s{0,8}+"""
_AUTHORIZATION = re.compile(
    rf"""(\b(?:proxy-)?authorization{_BETWEEN}\\{{0,8}}+["']?+)"""
    r"""(?:(?:digest|aws4-hmac-sha256)\s[^\r\n]*+|[^\r\n"'\\]++)""",
    re.IGNORECASE,
)
_COOKIE = re.compile(rf"""(\b(?:set-)?cookie{_BETWEEN}\\{{0,8}}+["']?+)[^\r\n"'\\]++""", re.IGNORECASE)
_SCHEME = re.compile(
    r"\b((?i:bearer|basic))\s{1,4}+(?=[A-Za-z0-9._~+/-]{8})"
    r"(?:(?=[A-Za-z._~+/-]{0,255}+[0-9=])|(?=[A-Za-z]{0,255}?[a-z][A-Z])|(?=[A-Za-z0-9._~+/-]{20}))[A-Za-z0-9._~+/-]++={0,2}+"
)
_URL = re.compile(r"(://[^\s/:@\"'<>]{0,255}+:)[^\s/\"'<>]{1,1024}@")
_WORD = (
    r"(?:passw(?:or)?d|passphrase|pwd|secret|token|(?:api|access|account|private|secret|signing|encryption)[_-]?key"
    r"|credential|cookie|authorization)"
)
_QUOTED = r"""\\{1,8}+"[^"\\]*+\\{1,8}+"|"(?:[^"\\]|\\.)*+"?|'(?:[^'\\]|\\.)*+'?"""
_BARE = r"""(?:\[redacted\]|[^\s"'&,;<>(){}\[\]\\])++"""
_ASSIGNMENT = re.compile(rf"({_WORD})([\w-]{{0,40}}+)({_BETWEEN})({_QUOTED}|{_BARE})", re.IGNORECASE)
_OPTION = re.compile(rf"(--[\w-]{{0,40}}?{_WORD})(\s{{1,4}}+)(?:{_QUOTED}|(?!-){_BARE})", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z_][\w.]*+")


class Redactor:
    """Redacts with these known secrets beside the general rules.

    Args:
        secrets: Values that must never be seen. Ones of fewer than 4 characters are left to the other nets: they are
            part of too many innocent words.
    """

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        forms = sorted({form for secret in secrets for form in _forms(secret)}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, forms))) if forms else None

    def text(self, text: str) -> str:
        """The text without secrets."""
        text = self.known(text)
        if _GATE.search(text.lower()) is None:
            return text
        text = _SHAPES.sub(REDACTED, text)
        text = _AUTHORIZATION.sub(rf"\1{REDACTED}", text)
        text = _COOKIE.sub(rf"\1{REDACTED}", text)
        text = _SCHEME.sub(rf"\1 {REDACTED}", text)
        text = _URL.sub(rf"\1{REDACTED}@", text)
        text = _ASSIGNMENT.sub(_without_value, text)
        return _OPTION.sub(rf"\1\2{REDACTED}", text)

    def known(self, text: str) -> str:
        """The text without secrets that are known, and otherwise as it is: what somebody else said to somebody else."""
        return text if self._known is None else self._known.sub(REDACTED, text)

    def value(self, value: Any) -> Any:
        """JSON-like data without secrets; containers are copied, other types come back as they are."""
        return self._value(value, 0)

    def _value(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if depth > _DEPTH_MAX:
            return _TOO_DEEP
        if isinstance(value, Mapping):
            return dict(self._items(cast("Mapping[Any, Any]", value), depth))
        if isinstance(value, (list, tuple)):
            items = cast("Sequence[Any]", value)
            return [self._value(item, depth + 1) for item in items]
        if isinstance(value, (bytes, bytearray)):
            return self.text(value.decode("utf-8", "backslashreplace")).encode("utf-8", "backslashreplace")
        return value

    def _items(self, mapping: Mapping[Any, Any], depth: int) -> Iterator[tuple[Any, Any]]:
        named = _names_a_secret(mapping)
        for key, item in mapping.items():
            shown = self.text(key) if isinstance(key, str) else key
            hidden = (isinstance(key, str) and is_secret_name(key)) or (named and key == "value")
            yield shown, REDACTED if hidden and _says_something(item) else self._value(item, depth + 1)


def _names_a_secret(mapping: Mapping[Any, Any]) -> bool:
    """Whether it is a pair like `{"name": "password", "value": …}`."""
    if "value" not in mapping:
        return False
    name = mapping.get("name", mapping.get("key"))
    return isinstance(name, str) and is_secret_name(name)


def _says_something(item: Any) -> bool:
    return not (item is None or isinstance(item, bool) or item == "" or item == [] or item == {})


def _without_value(match: re.Match[str]) -> str:
    word, rest, between, value = match.groups()
    text, start = match.string, match.start()
    begin = start
    while begin > 0 and start - begin < NAME_CHARACTERS and (text[begin - 1].isalnum() or text[begin - 1] in "_-."):
        begin -= 1
    if _is_code(match, value) or not is_secret_name(text[begin:start] + word + rest):
        return match[0]
    return f"{word}{rest}{between}{_hidden(value)}"


def _is_code(match: re.Match[str], value: str) -> bool:
    """Whether it is a line of a program, `token = read_token()` or `password=self.password`, that shows no value."""
    name = _NAME.match(value)
    if name is None:
        return False
    if name.end() == len(value):
        return is_secret_name(value) or (match[3] == " = " and match.string.startswith("(", match.end()))
    return False


def _hidden(value: str) -> str:
    for mark in ('"', "'"):
        if value.startswith(mark):
            return f"{mark}{REDACTED}{mark}" if len(value) > 1 and value.endswith(mark) else f"{mark}{REDACTED}"
    if value.startswith("\\"):
        mark = value[: value.index('"') + 1]
        return f"{mark}{REDACTED}{mark}"
    return REDACTED


def _forms(secret: str) -> Iterable[str]:
    """A secret as it may be written: as it is, by line, in a URL, in JSON, in base64 at any offset."""
    if len(secret) < _SECRET_CHARACTERS_MIN:
        return
    yield secret
    for line in secret.splitlines():
        if len(line.strip()) >= _LINE_CHARACTERS_MIN:
            yield line.strip()
    data = secret.encode("utf-8", "surrogatepass")
    yield quote(data, safe="")
    yield quote(data)
    yield quote_plus(data)
    for ascii_only in (True, False):
        escaped = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        yield escaped
        yield json.dumps(escaped)[1:-1]
    for offset in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            encoded = encode(b"\0" * offset + data).decode().rstrip("=")
            first = (offset * 8 + 5) // 6
            last = (offset + len(data)) * 8 // 6
            if last - first >= _ENCODED_CHARACTERS_MIN:
                yield encoded[first:last]
