"""What silence means. Pure: the caller brings the clock."""

from enum import StrEnum

PING_SECONDS = 1.0
SUSPECT_SECONDS = 3.0
DEAD_SECONDS = 10.0


class Liveness(StrEnum):
    """What is believed of a peer."""

    ALIVE = "alive"
    SUSPECT = "suspect"
    DEAD = "dead"


def liveness(silence_seconds: float) -> Liveness:
    """Judge a peer by the time since its last traffic, of whatever kind."""
    if silence_seconds >= DEAD_SECONDS:
        return Liveness.DEAD
    return Liveness.SUSPECT if silence_seconds >= SUSPECT_SECONDS else Liveness.ALIVE
