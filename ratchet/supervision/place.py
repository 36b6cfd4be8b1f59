"""What a supervisor was given to work with."""

import socket
from dataclasses import dataclass
from typing import Literal

from ratchet.cluster.membership import Membership
from ratchet.config import Config
from ratchet.project import Project

Mode = Literal["up", "on-demand", "node"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a supervisor runs, and how.

    Attributes:
        mode: `up` was started by a person and stays; `on-demand` by an agent, and leaves when nobody needs it; `node`
            stays too, and only works for the head that it joined.
        listener: The listening socket that the project's clients find.
        membership: Of a node: whose, and what proves it.
    """

    project: Project
    config: Config
    mode: Mode
    listener: socket.socket
    membership: Membership | None = None

    @property
    def stays(self) -> bool:
        """Whether somebody at a terminal, or a service manager, started it and will end it."""
        return self.mode != "on-demand"
