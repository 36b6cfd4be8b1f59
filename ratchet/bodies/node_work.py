"""What the runner asks of the nodes that give it work, and what they tell it of their workers."""

from pydantic import Field

from ratchet.models import FilePath, Model
from ratchet.supervision.exits import ExitReport


class FindCode(Model):
    """Which version these files make up on a node. Served by the node; it says when that is no longer true.

    Attributes:
        files: Their paths within the task folders.
    """

    files: list[FilePath]


class FoundCode(Model):
    """What a node has.

    Attributes:
        version: Of the files as they are there; no version of any task where some are missing.
        missing: Those that it does not have.
    """

    version: str
    missing: list[str] = Field(default_factory=list[str])


class WorkerExit(Model):
    """The supervisor of a node reaped one of its workers. Served by the runner; sent again until it is answered."""

    report: ExitReport
