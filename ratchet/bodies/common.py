"""Bodies of many procedures, and what the requests of clients have in common."""

from ratchet.models import Model
from ratchet.policy.client import Client


class Empty(Model):
    """A body that says nothing."""


class OnBehalf(Model):
    """A request of somebody: what `client` may not see does not exist for it. None: of the user, at a shell."""

    client: Client | None = None
