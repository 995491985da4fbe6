"""Inertial measurement unit: windows of acceleration and angular rate.

Shape letters: T time steps, 3 sensor axes (x, y, z), 6 channels = 3 of acceleration, 3 of rate.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from sensorfusion.errors import ClockError, DataError, UnitError
from sensorfusion.sample import Array, Reading, require_array
from sensorfusion.sensors.transform import Preparation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STANDARD_GRAVITY = 9.80665  # m/s^2 in one g (exact by definition)
SI = "m/s^2, rad/s"
GRAVITY_DEGREES = "g, deg/s"
STANDARDISED = "standard deviations"


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
    def channels(self) -> Array:
        """[T, 6]: acceleration and angular rate side by side."""
        return np.concatenate([self.acceleration, self.angular_rate], axis=1)

    def with_channels(self, channels_T6: Array, **changes: Any) -> ImuWindow:
        """A copy with other values (cast to float32), and other fields where given."""
        values = channels_T6.astype(np.float32)
        return self.replace(acceleration=values[:, :3], angular_rate=values[:, 3:], **changes)

    def draw(self, axes: Axes) -> None:
        """Traces over time: acceleration on the left scale, angular rate dashed on the right."""
        times = self.clock.times_T
        right = axes.twinx()
        for scale, style, values in (
            (axes, "-", self.acceleration),
            (right, "--", self.angular_rate),
        ):
            for column, colour in enumerate(("tab:red", "tab:green", "tab:blue")):
                label = f"{'xyz'[column]} {'acceleration' if style == '-' else 'rate'}"
                scale.plot(times, values[:, column], style, color=colour, lw=1, label=label)
        acceleration_unit, _, rate_unit = self.unit.partition(", ")
        axes.set_xlabel(f"time ({self.clock.kind.value})")
        axes.set_ylabel(f"acceleration ({acceleration_unit})")
        right.set_ylabel(f"angular rate ({rate_unit or acceleration_unit})")
        handles = [*axes.get_lines(), *right.get_lines()]
        above: dict[str, Any] = {
            "loc": "lower right",
            "bbox_to_anchor": (1.0, 1.0),
            "borderaxespad": 0.2,
        }
        axes.legend(handles=handles, ncols=6, fontsize="small", frameon=False, **above)


def require_rows(reading: Reading, rows: int) -> None:
    """Check that a reading's clock has one time per row."""
    if len(reading.clock) != rows:
        raise ClockError(
            f"{len(reading.clock)} times for {rows} rows",
            where=f"{type(reading).__name__} of {reading.source or 'an unnamed source'}",
            remedy="give the clock one time per row of the arrays",
        )


@dataclass(frozen=True, kw_only=True)
class GravityDegrees(Preparation[ImuWindow]):
    """Acceleration in g and angular rate in deg/s: what CMC-CMKM feeds its network."""

    kind = ImuWindow
    sensors: tuple[str, ...] = ("imu",)

    def prepare(self, reading: ImuWindow) -> ImuWindow:
        _require_unit(self, reading, SI)
        return reading.replace(
            acceleration=reading.acceleration / np.float32(STANDARD_GRAVITY),
            angular_rate=np.rad2deg(reading.angular_rate),
            unit=GRAVITY_DEGREES,
        )


@dataclass(frozen=True, kw_only=True)
class StandardiseImu(Preparation[ImuWindow]):
    """(value - mean) / deviation per channel, with statistics of the training data.

    Args:
        mean, deviation: six numbers each: acceleration x, y, z, angular rate x, y, z.
        unit_before: the unit that the statistics were taken in.
    """

    kind = ImuWindow
    sensors: tuple[str, ...] = ("imu",)
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    unit_before: str = SI

    @staticmethod
    def fit(readings: Iterable[ImuWindow], sensors: tuple[str, ...] = ("imu",)) -> StandardiseImu:
        """Statistics over all time steps of all readings; a constant channel is only centred.

        Raises:
            DataError: when there are no readings.
        """
        windows = list(readings)
        if not windows:
            raise DataError("no IMU readings to take statistics of", where="StandardiseImu.fit")
        rows_N6 = np.concatenate([window.channels for window in windows]).astype(np.float64)
        deviation = rows_N6.std(axis=0)
        return StandardiseImu(
            sensors=sensors,
            mean=tuple(rows_N6.mean(axis=0).tolist()),
            deviation=tuple(np.where(deviation > 0.0, deviation, 1.0).tolist()),
            unit_before=windows[0].unit,
        )

    def prepare(self, reading: ImuWindow) -> ImuWindow:
        _require_unit(self, reading, self.unit_before)
        centred_T6 = reading.channels - np.asarray(self.mean)
        return reading.with_channels(centred_T6 / np.asarray(self.deviation), unit=STANDARDISED)


def _require_unit(transform: object, reading: ImuWindow, unit: str) -> None:
    if reading.unit != unit:
        raise UnitError(
            f"{type(transform).__name__} takes {unit!r}, found {reading.unit!r}",
            where=reading.source,
            remedy="apply normalisers in the order in which they were fitted",
        )
