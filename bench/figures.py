"""What the measured values of a row say: median, range, ratio, and whether that is enough.

Lives here: arithmetic. Imports `rows`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from bench.rows import Row


@dataclass
class Series:
    """The values of one row on one side, in the order in which they were taken."""

    values: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def median(self) -> float | None:
        return median(self.values) if self.values else None

    def facts(self) -> dict[str, Any]:
        """As plain JSON values."""
        low, high = (min(self.values), max(self.values)) if self.values else (None, None)
        return {
            "median": self.median,
            "min": low,
            "max": high,
            "values": self.values,
            "failures": self.failures,
        }


Results = Mapping[str, Mapping[str, Series]]  # row name, side name


def ratio(row: Row, results: Results) -> float | None:
    """How many times as good we are as what the row compares with; `None` if unknown."""
    mine = results[row.name]["ours"].median
    if row.than:
        other = results[row.than]["ours"].median if row.than in results else None
    else:
        other = results[row.name]["peer"].median if "peer" in results[row.name] else None
    if not mine or not other:
        return None
    return other / mine if row.less else mine / other


def verdict(row: Row, results: Results) -> bool | None:
    """Whether the row reaches what it must; `None` if it need not, or can't be told."""
    if row.limit is not None:
        mine = results[row.name]["ours"].median
        return None if mine is None else mine <= row.limit
    reached = ratio(row, results)
    if row.must is None or reached is None:
        return None
    return reached >= row.must
