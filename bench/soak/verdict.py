"""Whether anything grows: judging the samples of the soak.

Lives here: arithmetic on lists of numbers, and the thresholds. Imports nothing of ours.

Memory may rise and fall with the load. It fails when a straight line through the samples
after the warm-up rises by more than 4 MiB and more than 5 % over that time, and each quarter
of it lies above the one before. Descriptors, threads and gauges are compared between two
moments at which all calls have ended: after the warm-up, and at the end. There, one more is
one too many.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median
from typing import Any

MIB = 1 << 20
GROWTH_BYTES = 4 * MIB
GROWTH_SHARE = 0.05
LEAST_SAMPLES = 8

# Numbers of stats() that say how much there was, not how much there is. A name that is not
# known here is judged as a gauge, so that a new one can't slip through.
COUNTERS = frozenset({"bytes_sent", "bytes_received", "calls", "errors"})
# Gauges that are not zero while a node is connected: they must come back to what they were.
STANDING = frozenset({"connections", "members"})


@dataclass(frozen=True)
class Trend:
    """How memory went in one process, in bytes."""

    start: float
    end: float
    growth: float  # of the straight line, over the whole time
    rising: bool  # each quarter above the one before

    @property
    def leaks(self) -> bool:
        """Whether that is more than load explains."""
        return self.rising and self.growth > max(GROWTH_BYTES, GROWTH_SHARE * self.start)


def trend(times: Sequence[float], values: Sequence[float]) -> Trend | None:
    """The trend of the samples, or `None` if there are too few to tell."""
    if len(values) < LEAST_SAMPLES:
        return None
    middle_time, middle = fmean(times), fmean(values)
    spread = sum((time - middle_time) ** 2 for time in times)
    together = sum((t - middle_time) * (v - middle) for t, v in zip(times, values, strict=True))
    slope = together / spread if spread else 0.0
    size = len(values) // 4
    quarters = [median(values[n * size : (n + 1) * size]) for n in range(3)]
    quarters.append(median(values[3 * size :]))
    rising = all(before < after for before, after in pairwise(quarters))
    return Trend(quarters[0], quarters[-1], slope * (times[-1] - times[0]), rising)


def gauges(sample: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a sample's stats that are gauges, by `node.name`."""
    return {
        name: value
        for name, value in sample["stats"].items()
        if name.partition(".")[2] not in COUNTERS
    }


def busy(sample: Mapping[str, Any]) -> dict[str, float]:
    """The gauges that an idle node must have at zero, and has not."""
    return {
        name: value
        for name, value in gauges(sample).items()
        if value and name.partition(".")[2] not in STANDING
    }


def left_over(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What an idle process has more of than when it was idle before."""
    grown = [
        f"{name}: {before[name]} to {after[name]}"
        for name in ("fds", "threads")
        if after[name] > before[name]
    ]
    was = gauges(before)
    grown += [
        f"{name}: {was.get(name, 0)} to {value}"
        for name, value in gauges(after).items()
        if value > was.get(name, 0)
    ]
    return grown
