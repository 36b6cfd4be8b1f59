"""Exit codes of the `ratchet` command, and which error leads to which."""

from enum import IntEnum

from ipc.errors import IpcError
from ratchet.errors import ConfigError, NotRunningError, RatchetError, RequestError, UnavailableError
from ratchet.models import Execution, Status


class ExitCode(IntEnum):
    """What a script can tell from `$?`."""

    OK = 0
    FAILED = 1  # the execution, or a check of `ratchet doctor`, failed; or anything without a code of its own
    USAGE = 2  # wrong arguments, or a request that will fail again: unknown task, invalid input, bad configuration
    NOT_RUNNING = 3  # no supervisor runs for the project
    UNAVAILABLE = 4  # Ratchet cannot answer now: trying again may work
    STILL_RUNNING = 124  # `--wait` was over before the execution was; as `timeout(1)` has it
    INTERRUPTED = 130  # Ctrl-C, or the execution was cancelled


def of_error(error: RatchetError | IpcError) -> ExitCode:
    """The exit code for an error that ends a command."""
    match error:
        case RequestError() | ConfigError():
            return ExitCode.USAGE
        case NotRunningError():
            return ExitCode.NOT_RUNNING
        case UnavailableError() | IpcError():
            return ExitCode.UNAVAILABLE
        case _:
            return ExitCode.FAILED


def of_execution(execution: Execution) -> ExitCode:
    """The exit code for an execution that was waited for."""
    match execution.status:
        case Status.COMPLETED:
            return ExitCode.OK
        case Status.FAILED:
            return ExitCode.FAILED
        case Status.CANCELLED:
            return ExitCode.INTERRUPTED
        case _:
            return ExitCode.STILL_RUNNING
