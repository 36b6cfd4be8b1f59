"""What is taken out, and what is left alone."""

import base64
import json
from urllib.parse import quote

import pytest

from ratchet.redaction import REDACTED, Redactor
from ratchet.secretnames import is_secret_name

PLAIN = Redactor()
SECRET = 'corr+ect/horse "battery" ñ'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Authorization: Bearer abc.def rest", f"Authorization: {REDACTED}"),
        ("proxy-authorization=Basic dXNlcjpwYXNz", f"proxy-authorization={REDACTED}"),
        ('curl -H "Authorization: Bearer X" https://a.b', f'curl -H "Authorization: {REDACTED}" https://a.b'),
        ("{'Authorization': 'Token x', 'Accept': 'y'}", f"{{'Authorization': '{REDACTED}', 'Accept': 'y'}}"),
        ('Authorization: Digest username="u", response="r"', f"Authorization: {REDACTED}"),
        ("sent bearer eyJhbGciOi.J9 away", f"sent bearer {REDACTED} away"),
        ("Cookie: a=b; c=d", f"Cookie: {REDACTED}"),
        ("postgres://user:p@ss:word@host/db", f"postgres://user:{REDACTED}@host/db"),
        ("amqp://:pass@host", f"amqp://:{REDACTED}@host"),
        ("?user=me&password=hunter2&x=1", f"?user=me&password={REDACTED}&x=1"),
        ('db_password: "a b, c", next', f'db_password: "{REDACTED}", next'),
        ('{"api_key": "abc", "n": 1}', f'{{"api_key": "{REDACTED}", "n": 1}}'),
        (r"{\"client_secret\": \"abc\", \"n\": 1}", rf"{{\"client_secret\": \"{REDACTED}\", \"n\": 1}}"),
        ("AWS_SECRET_ACCESS_KEY=abc/def+g", f"AWS_SECRET_ACCESS_KEY={REDACTED}"),
        ("apiKey => 'abc'", f"apiKey => '{REDACTED}'"),
        ("run --api-token abc -v", f"run --api-token {REDACTED} -v"),
        ("connect(password='x', port=5)", f"connect(password='{REDACTED}', port=5)"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\nok", f"{REDACTED}\nok"),
        ("-----BEGIN PRIVATE KEY-----\nnever ended", REDACTED),
    ],
)
def test_credentials_in_text_are_taken_out(text: str, expected: str) -> None:
    assert PLAIN.text(text) == expected


@pytest.mark.parametrize(
    "token",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_" + "a1B2" * 9,
        "github_pat_" + "a1B2c3" * 5,
        "glpat-" + "a1B2c3d4e5" * 2,
        "xoxb-" + "123456789012-abcdef",
        "sk-proj-" + "a1B2c3d4" * 4,
        "sk-ant-api03-" + "a1B2c3d4" * 4,
        "sk_live_" + "a1B2c3d4" * 3,
        "AIza" + "a1B2c3d" * 5,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    ],
)
def test_tokens_are_known_by_their_shape(token: str) -> None:
    assert PLAIN.text(f"using {token}, then") == f"using {REDACTED}, then"


@pytest.mark.parametrize(
    "text",
    [
        "tokens_used=5 token_count: 7 max_tokens=100",
        "the bearer of news; basic instructions apply",
        "token = read_token()",
        "self.password = password",
        "next_page_token: abc",
        "see https://example.org/a:b/c?x=1 and mailto:me@example.org",
        "public_key=abc primary_key: id, monkey: banana",
        "password:",
        "secretary: Ann",
        "task-1234567890abcdefghij",
        "skipped 3 rows",
        "",
    ],
)
def test_innocent_text_is_left_alone(text: str) -> None:
    assert PLAIN.text(text) == text


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        quote(SECRET, safe=""),
        json.dumps(SECRET),
        json.dumps(json.dumps(SECRET)),
        json.dumps(SECRET, ensure_ascii=False),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(b"user:" + SECRET.encode()).decode(),
        base64.b64encode(b"x" + SECRET.encode() + b"y").decode(),
    ],
)
def test_a_known_secret_is_found_in_every_encoding(written: str) -> None:
    shown = Redactor([SECRET]).text(f"<{written}>")
    assert REDACTED in shown
    assert len(shown) - len(REDACTED) <= 12  # what of a base64 block belongs to its neighbours too


def test_the_lines_of_a_secret_are_found_one_by_one() -> None:
    lines = ["a" * 10 + str(n) * 20 for n in range(3)]
    redactor = Redactor(["\n".join(lines)])
    assert [redactor.text(line) for line in lines] == [REDACTED] * 3


def test_very_short_secrets_do_not_eat_ordinary_words() -> None:
    assert Redactor(["a", ""]).text("a banana") == "a banana"


def test_structured_data_is_redacted_by_name_by_shape_and_by_value() -> None:
    given = {
        "user": "me",
        "password": {"nested": "value"},
        "headers": {"X-Api-Key": "k", "Set-Cookie": ["a=b"], "Accept": "*/*"},
        "list": [{"name": "Authorization", "value": "v"}, {"name": "Accept", "value": "v"}],
        "note": "password=hunter2",
        "tokens_used": 7,
        "token": None,
        "secret": True,
        "clientSecret": 42,
        "known": ["abcdefgh"],
        "abcdefgh": 1,
    }
    assert Redactor(["abcdefgh"]).value(given) == {
        "user": "me",
        "password": REDACTED,
        "headers": {"X-Api-Key": REDACTED, "Set-Cookie": REDACTED, "Accept": "*/*"},
        "list": [{"name": "Authorization", "value": REDACTED}, {"name": "Accept", "value": "v"}],
        "note": f"password={REDACTED}",
        "tokens_used": 7,
        "token": None,
        "secret": True,
        "clientSecret": REDACTED,
        "known": [REDACTED],
        REDACTED: 1,
    }
    assert given["password"] == {"nested": "value"}


@pytest.mark.parametrize("name", ["password", "DB_PASSWORD", "apiKey", "X-API-Key", "refreshToken", "APIKey", "token2"])
def test_secret_names(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["tokens_used", "token_count", "key", "public_key", "max_tokens", "secretary", "", "é"]
)
def test_other_names(name: str) -> None:
    assert not is_secret_name(name)
