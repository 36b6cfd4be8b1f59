"""What every actor says of its own process when it is asked for its health."""

import os
import time
from typing import Any

import psutil

from ratchet.bodies.health import Health
from ratchet.version import VERSION


class ProcessHealth:
    """One actor's process, from now on."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._started = time.monotonic()
        self._process = psutil.Process()

    @property
    def uptime_seconds(self) -> float:
        """How long ago this object was made."""
        return time.monotonic() - self._started

    def report(self, **facts: Any) -> Health:
        """The process, and whatever else of `Health` its actor knows."""
        return Health(
            name=self._name,
            version=VERSION,
            pid=os.getpid(),
            uptime_seconds=round(self.uptime_seconds, 3),
            memory_bytes=self._process.memory_info().rss,
            **facts,
        )
