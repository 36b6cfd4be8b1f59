"""What the task-runner tells people who watch it work."""

from pydantic import Field

from ratchet.bodies.executions import Catalogue
from ratchet.models import Execution, Model


class FollowNews(Model):
    """Go on telling what changes, until the caller has heard enough."""


class News(Model):
    """What has changed since the last item, conflated; the first says what there is.

    Attributes:
        tasks: What the task folders hold, without schemas; None: as before.
        executions: As they are now, without inputs and outputs, in the order of their last change.
        missed: Executions of whose changes nothing was told, because too many changed at once.
    """

    tasks: Catalogue | None = None
    executions: list[Execution] = Field(default_factory=list[Execution])
    missed: int = 0
