"""Times of readings: three kinds of clock that are never mixed silently."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from sensorfusion.errors import ClockError


class ClockKind(enum.Enum):
    """What a reading's times count."""

    ABSOLUTE = "absolute"  # int64 nanoseconds since the Unix epoch
    RELATIVE = "relative"  # float64 seconds since the start of the recording
    FRACTION = "fraction"  # float64 in [0, 1]: position within the clip


@dataclass(frozen=True)
class Clock:
    """Times of one reading's rows.

    Args:
        kind: what the times count.
        times_T: times of the T rows, not decreasing; int64 nanoseconds for ABSOLUTE,
            float64 seconds for RELATIVE, float64 in [0, 1] for FRACTION.

    Raises:
        ClockError: on a wrong dtype, a decreasing time, or a fraction outside [0, 1].
    """

    kind: ClockKind
    times_T: npt.NDArray[np.int64] | npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        times = self.times_T
        expected = np.int64 if self.kind is ClockKind.ABSOLUTE else np.float64
        if times.ndim != 1 or times.dtype != expected:
            raise ClockError(
                f"a {self.kind.value} clock holds {times.dtype} times of shape {times.shape}",
                remedy=f"give a vector of {np.dtype(expected).name}",
            )
        if times.dtype == np.float64 and not np.isfinite(times).all():
            raise ClockError(f"a {self.kind.value} clock holds non-finite times")
        if (times[1:] < times[:-1]).any():
            row = int(np.argmax(times[1:] < times[:-1])) + 1
            raise ClockError(
                f"times decrease at row {row}: {times[row - 1]} then {times[row]}",
                remedy="sort the rows by time, or split the recording where its clock was reset",
            )
        if self.kind is ClockKind.FRACTION and len(times) and (times[0] < 0 or times[-1] > 1):
            raise ClockError(
                f"fractions of a clip must lie in [0, 1], found [{times[0]}, {times[-1]}]",
                remedy="divide by the clip's length, or declare the clock RELATIVE",
            )

    def __len__(self) -> int:
        return len(self.times_T)

    @staticmethod
    def fraction(rows: int) -> Clock:
        """`rows` times spread evenly over a whole clip, with both ends; read-only."""
        return _fraction(rows)

    @staticmethod
    def instant(nanoseconds: int) -> Clock:
        """One absolute time."""
        return Clock(ClockKind.ABSOLUTE, np.array([nanoseconds], dtype=np.int64))


@lru_cache(maxsize=64)
def _fraction(rows: int) -> Clock:
    times_T = np.linspace(0.0, 1.0, rows)
    times_T.flags.writeable = False
    return Clock(ClockKind.FRACTION, times_T)
