"""`ratchet stdio`: hands its standard streams to the project's supervisor, starting one where none runs.

An agent waits for the answer to its first message while this runs, so it imports next to nothing; all the work is
done by a front that the supervisor forks, which reads and writes the agent's pipes itself. This process only stays to
tell the agent's host, by its exit code and on stderr, how it ended.
"""

import os
import signal
import sys
import time

from ratchet.channel import Channel, ChannelError
from ratchet.errors import ProjectError
from ratchet.project import Project, find_project
from ratchet.supervision import election
from ratchet.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any

USAGE = "usage: ratchet stdio [--config FILE] [--data-dir DIRECTORY]"
# A supervisor that is draining is waited for, then replaced.
_SERVED_SECONDS_MAX = 60.0
# One that ends without an answer crashed; starting it again and again would not help.
_SILENT_ENDS_MAX = 3
_DRAIN_PAUSE_SECONDS = 0.1
_USAGE_EXIT = 2


def main(arguments: "list[str]", module: str = "supervisor") -> int:
    """Serve the agent until its front ends.

    Args:
        arguments: What follows `stdio`.
        module: The module that is a supervisor.

    Returns:
        The exit code: 0 when the agent closed stdin or the supervisor was stopped, 1 after a failure, 2 for wrong
        usage.
    """
    # A signal ends this process the plain way; the supervisor sees the connection close and ends the front.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    options = _parse(arguments)
    if options is None:
        _say(USAGE)
        return _USAGE_EXIT
    try:
        project = find_project(options.get("--config"), options.get("--data-dir"), os.environ, os.getcwd())  # noqa: PTH109
    except ProjectError as error:
        _say(error.message)
        return 1
    return _serve(project, options, module)


def _parse(arguments: "list[str]") -> "dict[str, str] | None":
    """The two options there are, as `--name value` or `--name=value`."""
    found: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if name not in ("--config", "--data-dir") or not (equals or rest):
            return None
        found[name] = value if equals else rest.pop(0)
    return found


def _serve(project: Project, options: "dict[str, str]", module: str) -> int:
    deadline = time.monotonic() + _SERVED_SECONDS_MAX
    silent_ends = 0
    pause_seconds = election.PAUSE_SECONDS
    while silent_ends < _SILENT_ENDS_MAX:
        connection = _connect_or_start(project, options, module)
        if connection is not None:
            ended = _hand_over(project, connection)
            if ended is not None:
                exit_code, reason, again = ended
                if not again:
                    if reason:
                        _say(reason)
                    return exit_code
                pause_seconds = _DRAIN_PAUSE_SECONDS
            else:
                silent_ends += 1
        if not election.pause(deadline, pause_seconds):
            _say(
                f"{election.holder(project) or 'a supervisor'} holds {project.lock_address}, but does not serve: end it"
            )
            return 1
    _say(f"the supervisor ended before it answered; what it printed:\n{_printed(project)}")
    return 1


def _connect_or_start(project: Project, options: "dict[str, str]", module: str) -> "socket.socket | None":
    connection = election.connect(project)
    if connection is not None:
        return connection
    claimed = election.claim(project)
    if claimed is None:
        return None  # somebody else is about to listen
    lock, listener = claimed
    _spawn(project, options, module, lock, listener.fileno())
    connection = election.connect(project)
    listener.close()
    os.close(lock)
    return connection


def _spawn(project: Project, options: "dict[str, str]", module: str, lock: int, listener: int) -> None:
    """Start a supervisor that is nobody's child: an agent's host may end whole families and sessions."""
    command = [sys.executable, "-P", "-m", module, "--on-demand", f"--lock-fd={lock}", f"--listen-fd={listener}"]
    command += [f"{name}={value}" for name, value in options.items()]
    middle = os.fork()
    if middle != 0:
        os.waitpid(middle, 0)
        return
    try:
        os.setsid()
        if os.fork() == 0:
            _leave_streams(_printed_path(project))
            for fd in (lock, listener):
                os.set_inheritable(fd, True)
            _close_inheritable({0, 1, 2, lock, listener})
            os.execv(sys.executable, command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        os.write(2, f"{command[0]} cannot be started: {error}\n".encode())
    finally:
        os._exit(0)


def _leave_streams(errors_path: str) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    errors = os.open(errors_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.dup2(errors, 2)


def _close_inheritable(kept: "set[int]") -> None:
    """Close what the agent's host leaked to us; it would wait for the end of its pipes otherwise."""
    for name in os.listdir("/proc/self/fd" if sys.platform == "linux" else "/dev/fd"):  # noqa: PTH208
        if int(name) not in kept:
            try:
                os.close(int(name))
            except OSError:
                continue  # the descriptor that listed the directory


def _hand_over(project: Project, connection: "socket.socket") -> "tuple[int, str, bool] | None":
    """Give our streams to the supervisor and wait for the end.

    Returns:
        Exit code, reason and whether to try again; None where the supervisor ended without an answer.
    """
    channel = Channel(connection)
    request: dict[str, Any] = {
        "config_path": project.config_address,
        "config_digest": project.config_digest,
        "version": VERSION,
        "cwd": os.getcwd(),  # noqa: PTH109
        "client_pid": os.getpid(),
    }
    try:
        channel.send("stdio", request, fds=(0, 1, 2))
        return _wait(channel)
    except (OSError, ChannelError):
        return None
    finally:
        channel.close()


def _wait(channel: Channel) -> "tuple[int, str, bool] | None":
    accepted = False
    while (messages := channel.receive()) is not None:
        for kind, body in messages:
            match kind:
                case "accepted":
                    accepted = True
                    _let_go()
                case "ended":
                    return int(body["exit_code"]), str(body["reason"]), False
                case "refused":
                    error = body["error"]
                    return 1, str(error["message"]), error["code"] == "draining"
                case _:
                    continue
    return (1, "the supervisor is gone", False) if accepted else None


def _let_go() -> None:
    """The front has the agent's pipes now: it alone decides when they end."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)


def _printed_path(project: Project) -> str:
    return f"{project.lock_address}.stderr"


def _printed(project: Project) -> str:
    with open(_printed_path(project), errors="replace") as file:  # noqa: PTH123
        return file.read()[-4000:].strip()


def _say(text: str) -> None:
    sys.stderr.write(f"ratchet: {text}\n")
    sys.stderr.flush()
