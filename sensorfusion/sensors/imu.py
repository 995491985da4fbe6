"""Inertial measurement unit: windows of acceleration and angular rate.

Shape letters: T time steps, 3 sensor axes (x, y, z), 6 channels = 3 of acceleration, 3 of rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sensorfusion.errors import ClockError
from sensorfusion.sample import Array, Reading, require_array

STANDARD_GRAVITY = 9.80665  # m/s^2 in one g (exact by definition)
SI = "m/s^2, rad/s"
GRAVITY_DEGREES = "g, deg/s"


@dataclass(frozen=True, kw_only=True)
class ImuWindow(Reading):
    """A window of inertial measurements in the sensor's own axes.

    Args:
        acceleration: float32 [T, 3], m/s^2, gravity included (as sensors measure it).
        angular_rate: float32 [T, 3], rad/s.

    Raises:
        DataError: on a wrong shape, dtype, or a non-finite value.
        ClockError: when the clock has another number of times than the arrays have rows.
    """

    ARRAYS: ClassVar[tuple[str, ...]] = ("acceleration", "angular_rate")

    acceleration: Array
    angular_rate: Array

    def validate(self) -> None:
        require_array(self, "acceleration", (None, 3), np.float32)
        require_array(self, "angular_rate", (len(self.acceleration), 3), np.float32)
        require_rows(self, len(self.acceleration))

    @property
    def channels_T6(self) -> Array:
        """Acceleration and angular rate side by side."""
        return np.concatenate([self.acceleration, self.angular_rate], axis=1)

    def with_channels(self, channels_T6: Array, **changes: object) -> ImuWindow:
        """A copy with other values (cast to float32), and other fields where given."""
        values = channels_T6.astype(np.float32)
        return self.replace(acceleration=values[:, :3], angular_rate=values[:, 3:], **changes)


def require_rows(reading: Reading, rows: int) -> None:
    """Check that a reading's clock has one time per row."""
    if len(reading.clock) != rows:
        raise ClockError(
            f"{len(reading.clock)} times for {rows} rows",
            where=f"{type(reading).__name__} of {reading.source or 'an unnamed source'}",
            remedy="give the clock one time per row of the arrays",
        )
