"""Satellite positioning: fixes of a receiver's place in a metric world frame.

Shape letters: T fixes, 3 coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from sensorfusion.errors import DataError
from sensorfusion.sample import Array, Reading, require_array
from sensorfusion.sensors.imu import require_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

METRES = "m"


@dataclass(frozen=True, kw_only=True)
class PositionFixes(Reading):
    """Positions in a metric frame (`axes`, e.g. "ENU" or "EPSG:32632"), one per fix.

    Args:
        position: float64 [T, 3], metres; float64 because map coordinates are large.
        deviation: standard deviation of a coordinate as the receiver states it (m).

    Raises:
        DataError: on a wrong shape, dtype, a non-finite value, or a negative deviation.
        ClockError: when the clock has another number of times than there are fixes.
    """

    ARRAYS: ClassVar[tuple[str, ...]] = ("position",)

    position: Array
    deviation: float

    def validate(self) -> None:
        require_array(self, "position", (None, 3), np.float64)
        require_rows(self, len(self.position))
        if not self.deviation >= 0.0:
            raise DataError(
                f"a deviation of {self.deviation} m",
                where=f"PositionFixes of {self.source or 'an unnamed source'}",
                remedy="give the receiver's standard deviation in metres",
            )

    def draw(self, axes: Axes) -> None:
        """The track from above, relative to its first fix."""
        across, up = (self.position - self.position[0])[:, :2].T
        axes.plot(across, up, "o-", markersize=3, linewidth=1)
        axes.set_aspect("equal", adjustable="datalim")
        axes.set_xlabel("x from the first fix (m)")
        axes.set_ylabel("y (m)")
