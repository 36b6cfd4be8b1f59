"""Which class of the taxonomy a failure is of, for exceptions as libraries and authors raise them."""

from pathlib import Path

import pytest

from ratchet.analysis.classify import classify, http_status
from ratchet.models import Category, ExceptionInfo, ProcessEnd
from tests.unit.failing import TaskFile, raised

RAISING = {
    "raise TimeoutError": "operation_timeout",
    "import asyncio; asyncio.run(asyncio.wait_for(asyncio.sleep(60), 0.001))": "operation_timeout",
    "import subprocess; subprocess.run(['sleep', '60'], timeout=0.01)": "operation_timeout",
    "raise ConnectionResetError('by peer')": "network",
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9/')": "network",
    "import httpx; httpx.get('http://127.0.0.1:9/')": "network",
    "import socket; socket.getaddrinfo('no.such.host.invalid', 80)": "network",
    "import ssl; raise ssl.SSLCertVerificationError('certificate verify failed')": "tls",
    "import not_installed_anywhere": "missing_dependency",
    "from json import no_such_name": "missing_dependency",
    "import subprocess; subprocess.run(['no-such-program'])": "missing_dependency",
    "raise MemoryError": "resource",
    "import errno; raise OSError(errno.ENOSPC, 'No space left on device')": "resource",
    "open('/no/such/file')": "not_found",
    "open('/proc/1/mem/x')": "not_found",
    "import errno; raise OSError(errno.EACCES, 'denied')": "permission",
    "import os; os.mkdir('/')": "conflict",
    "import sqlite3; raise sqlite3.OperationalError('database is locked')": "contention",
    "raise ValueError('unknown region')": "bad_input",
    "int('three')": "bad_input",
    "import json; json.loads('{')": "bad_input",
    "b'\\xff'.decode()": "bad_input",
    "a, b = [1]": "bug",
    "[].remove(1)": "bug",
    "{}['total']": "bug",
    "1 / 0": "bug",
    "None.name": "bug",
    "undefined": "bug",
    "'a' + 1": "bug",
    "assert False": "bug",
    "raise NotImplementedError": "bug",
    "import sys; sys.exit(3)": "bug",
    "f()": "bug",
    "raise RuntimeError('gave up')": "task_error",
    "raise Exception('gave up')": "task_error",
    "class BillingError(Exception): pass\n    raise BillingError('no')": "task_error",
    "class BillingError(ValueError): pass\n    raise BillingError('no')": "bad_input",
    "class RateLimitError(Exception): pass\n    raise RateLimitError('slow down')": "rate_limited",
    "class AuthenticationError(Exception): pass\n    raise AuthenticationError('key')": "auth",
    "from ratchet.errors import LlmRateLimitedError as E; raise E('slow down')": "rate_limited",
    "from ratchet.errors import LlmUnavailableError as E; raise E('gone')": "upstream_5xx",
    "from ratchet.errors import LlmCutError as E; raise E('in the middle')": "network",
    "from ratchet.errors import LlmTimeoutError as E; raise E('late')": "operation_timeout",
    "from ratchet.errors import LlmRefusedError as E; raise E('no')": "upstream_4xx",
    "from ratchet.errors import McpServerDownError as E; raise E('gone')": "network",
    "from ratchet.errors import McpToolError as E; raise E('no such ticket')": "upstream_4xx",
    "class ApiTimeout(Exception): pass\n    raise ApiTimeout()": "operation_timeout",
}


@pytest.mark.parametrize(("statement", "expected"), RAISING.items())
def test_what_is_raised_decides(tmp_path: Path, statement: str, expected: str):
    failure = TaskFile(tmp_path, f"def f():\n    {statement}\n").failure("f")

    assert classify(failure).name == expected


STATUSES = {
    400: "upstream_4xx",
    401: "auth",
    403: "auth",
    404: "upstream_4xx",
    408: "operation_timeout",
    409: "conflict",
    429: "rate_limited",
    500: "upstream_5xx",
    503: "upstream_5xx",
    504: "operation_timeout",
}


@pytest.mark.parametrize(("status", "expected"), STATUSES.items())
def test_the_status_of_an_answer_decides_whatever_client_raised(tmp_path: Path, status: int, expected: str):
    file = TaskFile(
        tmp_path,
        """
        import email.message, io, urllib.error
        import httpx

        def with_httpx(status):
            request = httpx.Request("GET", "http://api.test/x")
            httpx.Response(status, request=request).raise_for_status()

        def with_urllib(status):
            raise urllib.error.HTTPError("http://api.test", status, "no", email.message.Message(), None)

        def with_words(status):
            raise RuntimeError(f"the service answered with HTTP status {status}")

        class ApiError(Exception):
            def __init__(self, status_code):
                super().__init__("the service refused")
                self.status_code = status_code

        def with_attribute(status):
            raise ApiError(status)
        """,
    )

    for function in ("with_httpx", "with_urllib", "with_words", "with_attribute"):
        assert classify(file.failure(function, status=status)).name == expected, function


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ("503 Server Error: Service Unavailable for url: http://x", 503),
        ("Client error '404 Not Found' for url 'http://x'", 404),
        ("429, message='Too Many Requests'", 429),
        ("HTTP Error 500: oops", 500),
        ("status code: 502", 502),
        ("order 404 is unknown", None),
        ("took 500 ms", None),
    ],
)
def test_a_status_is_read_only_where_it_is_one(message: str, status: int | None):
    assert http_status(ExceptionInfo(type="RuntimeError", message=message)) == status


def test_what_is_telling_wins_over_what_was_raised_around_it(tmp_path: Path):
    failure = TaskFile(
        tmp_path,
        """
        def f():
            try:
                open("/no/such/file")
            except OSError as error:
                raise ValueError("the configuration is bad") from error
        """,
    ).failure("f")

    assert classify(failure).name == "not_found"


def test_an_author_who_translates_to_a_value_error_means_the_input(tmp_path: Path):
    failure = TaskFile(
        tmp_path,
        """
        def f():
            try:
                {}["mars"]
            except KeyError as error:
                raise ValueError("unknown region 'mars'") from error
        """,
    ).failure("f")

    assert classify(failure).name == "bad_input"


@pytest.mark.parametrize(
    ("category", "expected"),
    [
        (Category.INVALID_INPUT, "bad_input"),
        (Category.INVALID_OUTPUT, "invalid_output"),
        (Category.TIMEOUT, "timeout"),
        (Category.CRASHED, "crashed"),
        (Category.LIMIT, "resource"),
        (Category.WORKER_LOST, "worker_lost"),
        (Category.SHUTDOWN, "shutdown"),
        (Category.TASK_BROKEN, "task_broken"),
        (Category.CANCELLED, "cancelled"),
    ],
)
def test_how_an_attempt_ended_decides_where_it_says_all(category: Category, expected: str):
    assert classify(raised("x", "KeyError", category)).name == expected


def test_a_file_that_changed_meanwhile_is_not_broken():
    assert classify(raised("changed", "VersionChanged", Category.TASK_BROKEN)).name == "task_changed"


def test_an_exception_that_was_recorded_without_its_bases_is_known_by_its_name():
    assert classify(raised("gone", "FileNotFoundError")).name == "not_found"
    assert classify(raised("reset", "ConnectionResetError")).name == "network"


def test_a_death_needs_no_exception():
    end = ProcessEnd(process="child", pid=1, signal=9, signal_name="SIGKILL")

    assert classify(raised("killed", "ProcessDied", Category.CRASHED, process=end)).name == "crashed"
