"""Which class of the taxonomy a failure is of.

By how the attempt ended where that says it all; otherwise by the exceptions from the root cause outward: HTTP status
first, then errno, then the classes that an exception is one of, then its name and message. What is telling anywhere on
the path (a refused connection) wins over what is not (a ValueError around it).
"""

import builtins
import re
from collections.abc import Iterator, Sequence
from types import MappingProxyType

from ratchet.analysis.root_cause import causal_path
from ratchet.analysis.taxonomy import TAXONOMY, ErrorClass
from ratchet.models import Category, ExceptionInfo, Failure

_BY_CATEGORY = MappingProxyType(
    {
        Category.INVALID_INPUT: "bad_input",
        Category.INVALID_OUTPUT: "invalid_output",
        Category.TIMEOUT: "timeout",
        Category.POISON: "poison",
        Category.CRASHED: "crashed",
        Category.LIMIT: "resource",
        Category.WORKER_LOST: "worker_lost",
        Category.SHUTDOWN: "shutdown",
        Category.TASK_BROKEN: "task_broken",
        Category.CANCELLED: "cancelled",
    }
)

_BY_ERRNO = MappingProxyType(
    dict.fromkeys(("ENOSPC", "EDQUOT", "EMFILE", "ENFILE", "ENOMEM", "EFBIG"), "resource")
    | dict.fromkeys(("ENETUNREACH", "EHOSTUNREACH", "ENETDOWN", "EADDRNOTAVAIL", "ENOTCONN"), "network")
    | dict.fromkeys(("EACCES", "EPERM", "EROFS"), "permission")
    | dict.fromkeys(("EBUSY", "EAGAIN", "ETXTBSY", "EADDRINUSE"), "contention")
    | {"ETIMEDOUT": "operation_timeout"}
)

# The nearest class of an exception that stands here decides, so a subclass goes before what it derives from.
_BY_TYPE = MappingProxyType(
    {
        "Retryable": "temporary",
        "Permanent": "permanent",
        "LlmRateLimitedError": "rate_limited",
        "LlmTimeoutError": "operation_timeout",
        "LlmUnavailableError": "upstream_5xx",
        "LlmCutError": "network",
        "LlmRefusedError": "upstream_4xx",
        "McpTimeoutError": "operation_timeout",
        "McpServerDownError": "network",
        "McpToolError": "upstream_4xx",
        "TimeoutError": "operation_timeout",
        "asyncio.exceptions.TimeoutError": "operation_timeout",
        "concurrent.futures._base.TimeoutError": "operation_timeout",
        "subprocess.TimeoutExpired": "operation_timeout",
        "httpx.TimeoutException": "operation_timeout",
        "requests.exceptions.Timeout": "operation_timeout",
        "requests.exceptions.ConnectTimeout": "operation_timeout",
        "urllib3.exceptions.TimeoutError": "operation_timeout",
        "ssl.SSLCertVerificationError": "tls",
        "ssl.SSLError": "network",
        "ConnectionError": "network",
        "socket.gaierror": "network",
        "httpx.TransportError": "network",
        "requests.exceptions.ConnectionError": "network",
        "urllib3.exceptions.HTTPError": "network",
        "urllib.error.URLError": "network",
        "http.client.HTTPException": "network",
        "aiohttp.client_exceptions.ClientConnectionError": "network",
        "ModuleNotFoundError": "missing_dependency",
        "ImportError": "missing_dependency",
        "MemoryError": "resource",
        "FileNotFoundError": "not_found",
        "NotADirectoryError": "not_found",
        "IsADirectoryError": "not_found",
        "PermissionError": "permission",
        "FileExistsError": "conflict",
        "sqlite3.IntegrityError": "conflict",
        "BlockingIOError": "contention",
        "pydantic_core._pydantic_core.ValidationError": "bad_input",
        "UnicodeError": "bad_input",
        "_csv.Error": "bad_input",
        "ValueError": "bad_input",
        "SyntaxError": "bug",
        "ArithmeticError": "bug",
        "AssertionError": "bug",
        "AttributeError": "bug",
        "LookupError": "bug",
        "NameError": "bug",
        "NotImplementedError": "bug",
        "RecursionError": "bug",
        "StopIteration": "bug",
        "SystemExit": "bug",
        "TypeError": "bug",
    }
)

# What libraries and authors call their own exceptions; asked only where no class above is telling.
_BY_NAME = (
    (re.compile(r"RateLimit|TooManyRequests|Throttl|QuotaExceeded"), "rate_limited"),
    (re.compile(r"Timeout|TimedOut|DeadlineExceeded"), "operation_timeout"),
    (re.compile(r"Authentication|Unauthori[sz]ed|Forbidden|AccessDenied|PermissionDenied|InvalidApiKey"), "auth"),
    (re.compile(r"ServiceUnavailable|InternalServerError|BadGateway"), "upstream_5xx"),
    (re.compile(r"Connection|Network|Unreachable"), "network"),
)
_I = re.IGNORECASE
_BY_MESSAGE = (
    (re.compile(r"\brate[ -]limit|\btoo many requests\b|\bquota exceeded\b", _I), "rate_limited"),
    (re.compile(r"\bdatabase (?:table )?is locked\b|\bdeadlock\b|\block (?:wait )?timeout\b", _I), "contention"),
    (re.compile(r"\bcertificate verify failed\b|\bCERTIFICATE_VERIFY_FAILED\b"), "tls"),
    (re.compile(r"\bno space left on device\b", _I), "resource"),
)

# Status codes as clients write them: "503 Server Error", "Server error '503 …", "HTTP Error 404", "status code 429".
_STATUS = re.compile(
    r"\b([45]\d\d) (?:client|server) error\b|\b(?:client|server) error '([45]\d\d)\b"
    r"|\bHTTP(?:/\d(?:\.\d)?)?(?: error| status)?(?: code)?[ :=]{1,3}([45]\d\d)\b"
    r"|\bstatus(?:[ _]code)?(?: is| was)?[ :=]{1,3}([45]\d\d)\b|^([45]\d\d), message=",
    re.IGNORECASE,
)

# A ValueError that Python raises for what the code does, not for what it was given.
_VALUE_ERROR_BUGS = re.compile(
    r"values to unpack|list\.(?:remove|index)\(|is not in list$|substring not found|closed file|truth value of"
    r"|signal only works|circular reference",
    re.IGNORECASE,
)
_GENERIC = ("bad_input", "bug", "task_error")  # in the order in which they win over one another
_NEW_FILE = "VersionChanged"  # the type of a `task_broken` failure that is over by itself


def classify(failure: Failure) -> ErrorClass:
    """The class of a failure; `task_error` where nothing is telling."""
    if failure.category is Category.TASK_BROKEN and failure.type == _NEW_FILE:
        return TAXONOMY["task_changed"]
    decided = _BY_CATEGORY.get(failure.category)
    if decided is not None:
        return TAXONOMY[decided]
    found = [_class_of(one) for one in reversed(causal_path(failure.chain) or [_as_exception(failure)])]
    telling = next((name for name in found if name not in _GENERIC), None)
    return TAXONOMY[telling or min(found, key=_GENERIC.index)]


def http_status(error: ExceptionInfo) -> int | None:
    """The status of the HTTP answer that an exception is about."""
    known = error.facts.get("http_status")
    if isinstance(known, int):
        return known
    match = _STATUS.search(error.message)
    return int(next(group for group in match.groups() if group)) if match else None


def is_a(error: ExceptionInfo, name: str) -> bool:
    """Whether an exception is an instance of the class with this name."""
    return name in _names(error)


def _as_exception(failure: Failure) -> ExceptionInfo:
    return ExceptionInfo(type=failure.type, message=failure.message)


def _class_of(error: ExceptionInfo) -> str:
    status = http_status(error)
    if status is not None and (by_status := _by_status(status)):
        return by_status
    if (by_errno := _BY_ERRNO.get(str(error.facts.get("errno")))) is not None:
        return by_errno
    names = _names(error)
    by_type = next((_BY_TYPE[name] for name in names if name in _BY_TYPE), None)
    if by_type == "bad_input" and _VALUE_ERROR_BUGS.search(error.message):
        by_type = "bug"
    if by_type == "not_found" and _looked_for_a_program(error):
        return "missing_dependency"
    if by_type is not None and by_type not in _GENERIC:
        return by_type
    return _by_words(error, names) or by_type or "task_error"


def _by_words(error: ExceptionInfo, names: Sequence[str]) -> str | None:
    own = [name.rpartition(".")[2] for name in names if not hasattr(builtins, name)]
    by_name = next((found for pattern, found in _BY_NAME for name in own if pattern.search(name)), None)
    return by_name or next((found for pattern, found in _BY_MESSAGE if pattern.search(error.message)), None)


def _by_status(status: int) -> str | None:
    match status:
        case 401 | 403 | 407:
            return "auth"
        case 408 | 504:
            return "operation_timeout"
        case 409 | 412:
            return "conflict"
        case 429:
            return "rate_limited"
        case _ if status >= 500:
            return "upstream_5xx"
        case _ if status >= 400:
            return "upstream_4xx"
        case _:
            return None


def _names(error: ExceptionInfo) -> list[str]:
    return [error.type, *(error.bases or _builtin_bases(error.type))]


def _builtin_bases(name: str) -> Iterator[str]:
    """The bases of an exception that was recorded without them."""
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, BaseException):
        yield from (base.__name__ for base in kind.__mro__[1:-2])


def _looked_for_a_program(error: ExceptionInfo) -> bool:
    return any(frame.function.endswith("_execute_child") for frame in error.frames)
