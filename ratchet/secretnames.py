"""Which names have a secret beside them: `password`, `api_key`, `clientSecret`; not `tokens_used` or `token_count`."""

import re
from functools import lru_cache

NAME_CHARACTERS = 64

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SECRET = frozenset(
    (
        *("password", "passwords", "passwd", "pwd", "passphrase", "secret", "secrets", "token", "authorization"),
        *("cookie", "cookies", "credential", "credentials", "apikey", "apikeys", "accesskey", "accountkey"),
        *("privatekey", "secretkey", "authtoken", "accesstoken", "refreshtoken", "sessiontoken"),
    )
)
_KEY_OF = frozenset(
    ("api", "access", "account", "private", "secret", "signing", "encryption", "master", "shared", "ssh")
)
_PAGING = frozenset(("next", "page", "continuation", "sync", "pagination", "resume"))
_SUFFIXES = frozenset(("value", "values", "hash", "string", "text", "plain", "raw", "base64", "b64", "id"))
_SUFFIXED = frozenset(("password", "passwd", "pwd", "passphrase", "secret", "credential", "apikey"))


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether the value of something called so should not be shown. Only the end of a long name is looked at."""
    words = [word.lower() for word in _WORDS.findall(name[-NAME_CHARACTERS:])]
    while len(words) > 1 and (words[-1].isdigit() or (words[-1] in _SUFFIXES and _ends_secret(words[:-1], _SUFFIXED))):
        words.pop()
    return _ends_secret(words, _SECRET)


def _ends_secret(words: list[str], secret: frozenset[str]) -> bool:
    if not words:
        return False
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last in ("key", "keys"):
        return before in _KEY_OF
    if last == "token" and before in _PAGING:
        return False
    return last in secret
