"""How soon an actor is started again, and when the supervisor gives up. Pure: clock and randomness are passed in.

Full jitter after https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/.
"""

from collections.abc import Callable
from dataclasses import dataclass

DELAY_SECONDS_MIN = 0.2
DELAY_SECONDS_MAX = 30.0
STABLE_SECONDS = 10.0
# How often a start may fail in a row: a person is waiting for the first one, nobody for a restart.
FIRST_STARTS_MAX = 3
LATER_STARTS_MAX = 10


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """When to restart, and when no more.

    Attributes:
        intensity: So many restarts of all actors together are borne within `period_seconds`; one more ends the
            supervisor.
        period_seconds: The length of that period.
        start_seconds: An actor that is not ready after so long has failed to start.
    """

    intensity: int
    period_seconds: float
    start_seconds: float = 60.0

    def crash_delay(self, crashes: int, random: Callable[[], float]) -> float:
        """Seconds to wait after the `crashes`-th crash without a stable period in between (1 is the first).

        The longest delay grows from 0.2 s to 30 s as the crashes use up the intensity: an operator who bears more
        restarts gets them sooner.
        """
        share = min(1.0, (crashes - 1) / max(1, self.intensity))
        return random() * DELAY_SECONDS_MIN * (DELAY_SECONDS_MAX / DELAY_SECONDS_MIN) ** share

    def start_delay(self, failures: int, random: Callable[[], float]) -> float:
        """Seconds to wait after the `failures`-th failed start in a row (1 is the first)."""
        return random() * min(DELAY_SECONDS_MAX, DELAY_SECONDS_MIN * 2.0 ** min(failures - 1, 16))

    def exceeded(self, restarts: "RestartHistory", now: float) -> bool:
        """Whether more restarts than the intensity allows happened within the period that ends now."""
        return len(restarts.within(self.period_seconds, now)) > self.intensity


class RestartHistory:
    """The times of the latest restarts, no more than a period's."""

    def __init__(self) -> None:
        self._times: list[float] = []

    def add(self, now: float) -> None:
        """Note a restart."""
        self._times.append(now)

    def within(self, period_seconds: float, now: float) -> list[float]:
        """The times not older than the period; older ones are forgotten."""
        self._times = [time for time in self._times if now - time <= period_seconds]
        return list(self._times)
