"""What a supervisor was given to work with."""

import socket
from dataclasses import dataclass
from typing import Literal

from ratchet.config import Config
from ratchet.project import Project

Mode = Literal["up", "on-demand"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a supervisor runs, and how.

    Attributes:
        mode: `up` was started by a person and stays; `on-demand` by an agent, and leaves when nobody needs it.
        listener: The listening socket that the project's clients find.
    """

    project: Project
    config: Config
    mode: Mode
    listener: socket.socket
