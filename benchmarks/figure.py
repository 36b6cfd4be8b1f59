"""A measured figure, and what it is made of."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict


class FigureRecord(TypedDict):
    """A figure as it stands in build/bench.json."""

    name: str
    value: float
    unit: str
    baseline: float | None
    ratio: float | None
    samples: int


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the result.

    Attributes:
        name: What was measured.
        value: What came out for Ratchet.
        unit: Of `value` and `baseline`.
        samples: How many measurements are behind it.
        baseline: The same for the bare server, measured in the same run; None where there is nothing to compare with.
    """

    name: str
    value: float
    unit: str
    samples: int
    baseline: float | None = None

    @property
    def ratio(self) -> float | None:
        """`value` in baselines."""
        return round(self.value / self.baseline, 3) if self.baseline else None

    def record(self) -> FigureRecord:
        """As it is written to the file."""
        return {
            "name": self.name,
            "value": round(self.value, 3),
            "unit": self.unit,
            "baseline": None if self.baseline is None else round(self.baseline, 3),
            "ratio": self.ratio,
            "samples": self.samples,
        }


def percentile(values: Sequence[float], percent: int) -> float:
    """The value below which `percent` of the values lie."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
