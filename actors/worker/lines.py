"""Raw output of a process, as lines: what C libraries and subprocesses write past Python."""

import asyncio
import os
from collections.abc import Callable

LINE_BYTES_MAX = 64 * 1024
_READ_BYTES = 64 * 1024


class LineReader:
    """Reads one pipe; owns its descriptor."""

    def __init__(self, fd: int, on_line: Callable[[str], None]) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._on_line = on_line
        self._partial = b""
        self._reading = False
        self._open = True

    def resume(self) -> None:
        """Read whenever there is something."""
        if self._open and not self._reading:
            self._reading = True
            asyncio.get_running_loop().add_reader(self._fd, self._read)

    def pause(self) -> None:
        """Leave it in the pipe."""
        if self._reading:
            self._reading = False
            asyncio.get_running_loop().remove_reader(self._fd)

    def drain(self) -> None:
        """Read what there is now and end the last line, finished or not."""
        while self._open and self._read():
            pass
        if self._partial:
            line, self._partial = self._partial, b""
            self._emit(line)

    def close(self) -> None:
        """Close the pipe."""
        self.pause()
        if self._open:
            self._open = False
            os.close(self._fd)

    def _read(self) -> bool:
        """Read once. Returns whether there may be more."""
        try:
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self.pause()
            return False
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._emit(line)
        while len(self._partial) > LINE_BYTES_MAX:
            self._emit(self._partial[:LINE_BYTES_MAX])
            self._partial = self._partial[LINE_BYTES_MAX:]
        return True

    def _emit(self, line: bytes) -> None:
        self._on_line(line.decode(errors="replace").rstrip("\r"))
