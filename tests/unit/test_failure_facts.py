"""What an exception knows beside its message, also where its author made that hard."""

import urllib.error
from email.message import Message
from typing import Any

import pytest

from ratchet.runtime.facts import bases_of, facts_of


class Answer:
    """What clients keep of an HTTP answer."""

    def __init__(self, status_code: Any, **headers: str) -> None:
        self.status_code = status_code
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class ApiError(Exception):
    """As a client library has it."""

    def __init__(self, response: Any) -> None:
        super().__init__("refused")
        self.response = response


class HostileError(Exception):
    """Raises wherever one looks."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


def raised(statement: str) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one is the parameter
        exec(statement, {})
    return caught.value


@pytest.mark.parametrize(
    ("statement", "facts"),
    [
        ("open('/no/such')", {"errno": "ENOENT", "filename": "/no/such"}),
        ("{}['total']", {"key": "total"}),
        ("{}[1]", {}),
        ("undefined", {"name": "undefined"}),
        ("None.total", {"name": "total"}),
        ("import no_such_module_here", {"name": "no_such_module_here"}),
        ("raise OSError('bare')", {}),
        ("raise ValueError('x')", {}),
    ],
)
def test_what_python_knows_is_told(statement: str, facts: dict[str, Any]):
    assert facts_of(raised(statement)) == facts


@pytest.mark.parametrize(
    ("error", "facts"),
    [
        (ApiError(Answer(429, retry_after="30")), {"http_status": 429, "retry_after": "30"}),
        (ApiError(Answer("429")), {}),
        (ApiError(Answer(True)), {}),
        (ApiError(Answer(7)), {}),
        (ApiError(None), {}),
    ],
)
def test_what_clients_keep_of_an_answer_is_told(error: Exception, facts: dict[str, Any]):
    assert facts_of(error) == facts


def test_an_exception_that_raises_wherever_one_looks_tells_nothing():
    assert facts_of(HostileError("x")) == {}


def test_the_code_of_an_http_error_is_a_status_and_that_of_others_is_not():
    error = urllib.error.HTTPError("http://x", 503, "no", Message(), None)

    assert facts_of(error)["http_status"] == 503
    error.close()
    other = ValueError()
    other.code = 404  # pyright: ignore[reportAttributeAccessIssue]
    assert facts_of(other) == {}


def test_bases_are_the_classes_above_without_those_that_all_have():
    assert [one.__name__ for one in bases_of(ConnectionRefusedError())] == ["ConnectionError", "OSError", "Exception"]
    assert bases_of(Exception()) == []
