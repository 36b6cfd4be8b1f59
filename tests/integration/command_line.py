"""The `ratchet` command as people and scripts run it: in a pipe, or in a terminal."""

import fcntl
import io
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import structlog

from ratchet.cli.app import run_command
from tests.harness import RunningProject

SECONDS_MAX = 60.0
_READ_SECONDS = 0.1
_CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

TASKS: dict[str, str] = {
    "basics": """
        import os
        import sys
        import time
        from ratchet import Context, task

        @task(tags=["sums"])
        def add(a: int, b: int = 1) -> int:
            '''Add two numbers.'''
            return a + b

        @task
        def steps(ctx: Context, count: int = 3, seconds: float = 0.05) -> dict[str, int]:
            '''Make some steps, each with progress, a span and a log line.'''
            for number in range(1, count + 1):
                with ctx.span("step", number=number):
                    time.sleep(seconds)
                ctx.log.info(f"step {number}", of=count)
                ctx.progress(number, count, f"after {number}")
            return {"steps": count}

        @task
        def fail(ctx: Context) -> None:
            '''Raise, with a cause.'''
            ctx.log.warning("this will not go well")
            try:
                {}["total"]
            except KeyError as error:
                raise RuntimeError("the order has no total") from error

        @task
        def crash() -> None:
            '''End the process.'''
            print("last words", flush=True)
            os._exit(3)

        @task
        def chatter(lines: int = 1200) -> None:
            '''Print a lot.'''
            for number in range(lines):
                print(f"row {number}")

        @task
        def talk(ctx: Context, until: str) -> None:
            '''Say something, and something else when a file is there.'''
            ctx.log.info("waiting", number=1)
            while not os.path.exists(until):
                time.sleep(0.01)
            for number in range(2, 5):
                ctx.log.warning("going on", number=number)

        @task
        def shout() -> str:
            '''Print what would drive a terminal.'''
            print("\\x1b[2Jcleared\\x07")
            return "\\x1b[31mred"

        @task
        def stubborn(ctx: Context, seconds: float = 20) -> None:
            '''Obey nobody.'''
            ctx.log.info("started")
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                try:
                    time.sleep(0.05)
                except BaseException:
                    pass
        """,
    "broken": "def oops(:\n",
}


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)


class CommandLine:
    """Runs `ratchet` for a project."""

    def __init__(self, project: RunningProject) -> None:
        self.project = project

    def command(self, *arguments: str) -> list[str]:
        """The command line."""
        return [sys.executable, "-m", "ratchet", *arguments]

    def environ(self, more: Mapping[str, str]) -> dict[str, str]:
        """The project's environment, in which nothing forces colours or a width."""
        unwanted = {"FORCE_COLOR", "NO_COLOR", "COLUMNS", "RATCHET_CONFIG"}
        own = {name: value for name, value in self.project.environ.items() if name not in unwanted}
        return {**own, "TERM": "xterm-256color", **more}

    def run(self, *arguments: str, given: str = "", **environ: str) -> Ran:
        """Run a command in this process, which saves its start, with streams that are no terminals."""
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
        logging = structlog.get_config()
        try:
            with (
                patch.dict(os.environ, self.environ(environ), clear=True),
                patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode()))),
                chdir(self.project.folder),
                redirect_stdout(out),
                redirect_stderr(err),
            ):
                code = run_command(arguments)
        finally:
            structlog.configure(**logging)
        return Ran(code, *(_content(stream) for stream in (out, err)))

    def run_process(self, *arguments: str, **environ: str) -> Ran:
        """Run a command as a process of its own, in a pipe."""
        ran = subprocess.run(
            self.command(*arguments),
            cwd=self.project.folder,
            env=self.environ(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS_MAX,
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command in a pipe."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.project.folder,
            env=self.environ({}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def terminal(self, *arguments: str, columns: int = 80, **environ: str) -> "TerminalSession":
        """Start a command in a terminal of its own."""
        return TerminalSession(
            self.command(*arguments), str(self.project.folder), self.environ(environ), columns=columns
        )


def _content(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


class TerminalSession:
    """A command whose three streams are one terminal."""

    def __init__(self, command: list[str], folder: str, environ: Mapping[str, str], *, columns: int) -> None:
        main, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self._fd = main
        self._raw = b""
        # As in a shell, Ctrl-C reaches the command because the terminal is the controlling one of its session.
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environ),
            stdin=other,
            stdout=other,
            stderr=other,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - a single system call
        )
        os.close(other)

    @property
    def raw(self) -> str:
        """Everything it printed so far, control sequences included."""
        return self._raw.decode(errors="replace")

    @property
    def text(self) -> str:
        """The same without control sequences."""
        return _CONTROL_SEQUENCE.sub("", self.raw).replace("\r\n", "\n")

    def expect(self, words: str) -> None:
        """Read until `words` were printed."""
        deadline = time.monotonic() + SECONDS_MAX
        while words not in self.text:
            assert self._read(), f"it ended without {words!r}:\n{self.text}"
            assert time.monotonic() < deadline, f"not within {SECONDS_MAX} s: {words!r}\n{self.text}"

    def press_ctrl_c(self) -> None:
        """As a person would."""
        os.write(self._fd, b"\x03")

    def end(self) -> int:
        """Read until it ends. Returns its exit code."""
        deadline = time.monotonic() + SECONDS_MAX
        try:
            while self._read():
                assert time.monotonic() < deadline, f"it does not end:\n{self.text}"
            return self._process.wait(SECONDS_MAX)
        finally:
            self._process.kill()
            self._process.wait()
            os.close(self._fd)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._fd], [], [], _READ_SECONDS)
        if not ready:
            return True
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # what Linux answers when the last process has closed its side
            return False
        self._raw += data
        return bool(data)
