"""Raster: bands of pixels on a map, from satellites, aircraft or maps.

Shape letters: C bands, H rows, W columns.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from sensorfusion.errors import DataError, UnitError
from sensorfusion.geometry.rasters import composed, pixel_size
from sensorfusion.sample import Array, Reading, require_array
from sensorfusion.sensors.imu import require_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REFLECTANCE = "reflectance"  # 0 to 1; a little above on snow, cloud and metal
DECIBEL = "dB"
POWER = "linear power"  # what decibels are the logarithm of
NUMBERS = "DN"  # digital numbers as a file stores them, before scale and offset
CLASS = "class"  # numbers of classes: a map
UNKNOWN = 255  # in label, change and quality
_LARGEST = {REFLECTANCE: 5.0, DECIBEL: 100.0}
TRUE_COLOUR = ("B04", "B03", "B02")


class Quality(enum.IntEnum):
    """What a pixel shows, beside the ground."""

    CLEAR = 0
    CLOUD = 1
    CLOUD_SHADOW = 2
    LAYOVER = 3
    RADAR_SHADOW = 4


@dataclass(frozen=True, kw_only=True)
class Raster(Reading):
    """Bands on one grid of pixels, at one time.

    `axes` names the coordinate reference system of the map, e.g. "EPSG:32632". Batches hold
    rasters of one set of bands, product level, unit and reference system; `LocalAxes` gives up
    the place of rasters from several UTM zones.

    Args:
        values: float32 [C, H, W], in `unit`; 0 where not valid.
        valid: bool [C, H, W], or [1, H, W] for all bands: False where nothing was measured
            (outside the swath, nodata). A cloud is measured, and valid.
        transform: float64 [2, 3], pixel corners to map coordinates (`geometry.rasters`).
        bands: C different names, e.g. "B04", "VV".
        level: the product level, e.g. "L1C", "L2A", "GRD".
        nodata: the value that stands for "not valid" in the file that this was read from, or
            will be written to.
        label: uint8 [H, W], land-cover class of every pixel, 255 where unknown.
        change: uint8 [H, W], kind of change since the sample's first frame, 0 = none.
        quality: uint8 [H, W], a `Quality`, 255 where not known.

    Raises:
        DataError: on a wrong shape, dtype or transform, a non-finite value, repeated bands, or
            values beside the valid ones that are not 0.
        UnitError: on values that cannot be of the unit: reflectances above 5 are digital numbers.
        ClockError: when the clock has not one time.
    """

    ARRAYS: ClassVar[tuple[str, ...]] = ("values", "valid")
    # The place is always known but not measured: features of raw arrays must not see it.
    OPTIONAL: ClassVar[tuple[str, ...]] = ("transform", "label", "change", "quality")
    TRAITS: ClassVar[tuple[str, ...]] = ("bands", "level")
    IN_TIME: ClassVar[bool] = False

    values: Array
    valid: Array
    transform: Array
    bands: tuple[str, ...]
    level: str
    nodata: float | None = None
    label: Array | None = None
    change: Array | None = None
    quality: Array | None = None

    def validate(self) -> None:
        require_array(self, "values", (None, None, None), np.float32)
        bands, height, width = self.values.shape
        every = isinstance(self.valid, np.ndarray) and len(self.valid) == bands
        require_array(self, "valid", (bands if every else 1, height, width), np.bool_)
        require_array(self, "transform", (2, 3), np.float64)
        for name in self.held[3:]:
            require_array(self, name, (height, width), np.uint8)
        require_rows(self, 1)
        self._check_bands()
        self._check_values()

    def _check_bands(self) -> None:
        problem = ""
        if len(self.bands) != len(self.values) or len(set(self.bands)) < len(self.bands):
            problem = f"bands {self.bands} for values of shape {self.values.shape}"
        elif 0 in self.values.shape:
            problem = f"an empty raster of shape {self.values.shape}"
        elif np.linalg.det(self.transform[:, :2]) == 0.0:
            problem = f"transform {self.transform.tolist()} gives pixels no area"
        if problem:
            raise DataError(
                problem,
                where=f"Raster of {self.source or 'an unnamed source'}",
                remedy="give every band one name of its own, pixels, and a place",
            )

    def _check_values(self) -> None:
        where = f"Raster.values of {self.source or 'an unnamed source'}"
        if np.any(self.values, where=~self.valid):
            raise DataError(
                "values that are not valid are not 0",
                where=where,
                remedy="set them to 0, and keep the file's value for them in `nodata`",
            )
        largest = _LARGEST.get(self.unit, np.inf)
        if np.abs(self.values).max() > largest:
            raise UnitError(
                f"values up to {np.abs(self.values).max():g} are no {self.unit}",
                where=where,
                remedy=f'read them as "{NUMBERS}" and apply the product\'s scale and offset',
            )

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.values.shape[1], self.values.shape[2]

    @property
    def planes(self) -> tuple[str, ...]:
        """Names of the arrays that have pixels."""
        return tuple(name for name in self.held if name != "transform")

    def moved(self, planes: Mapping[str, Array], new_33: Array) -> Raster:
        """Other pixels, and the transform after `new_33` (`geometry.rasters.composed`)."""
        arrays = {name: np.ascontiguousarray(plane) for name, plane in planes.items()}
        return self.replace(transform=composed(self.transform, new_33), **arrays)

    def draw(self, axes: Axes) -> None:
        """True colour where there is one, else the first band; white where nothing is valid."""
        if set(TRUE_COLOUR) <= set(self.bands):
            axes.imshow(self.in_true_colour(), interpolation="nearest")
        else:
            shown = np.where(self.valid[0], self.values[0], np.nan)
            low, high = (-22.0, 0.0) if self.unit == DECIBEL else (None, None)
            grey = axes.imshow(shown, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
            label = f"{self.bands[0]} ({self.unit})"
            axes.figure.colorbar(grey, ax=axes, label=label, fraction=0.03, pad=0.01)
        along, _ = pixel_size(self.transform)
        axes.set_xlabel(f"columns of {along:g} m, {self.axes}")
        axes.set_ylabel("rows")

    def in_true_colour(self, ceiling: float | None = None) -> Array:
        """Red, green and blue for the eye: uint8 [H, W, 3], white where not valid.

        Args:
            ceiling: the value that is shown white; by default that of `tones`. Dark shades are
                spread by a gamma of 1.8.
        """
        low, high = self.tones()
        high = high if ceiling is None else ceiling
        colour_HW3, valid_HW = self._colours()
        shares = ((colour_HW3 - low) / max(high - low, 1e-6)).clip(0.0, 1.0) ** (1 / 1.8)
        return np.where(valid_HW[..., None], np.rint(255 * shares), 255).astype(np.uint8)

    def tones(self) -> tuple[float, float]:
        """Values for black and white: 0 or less, and the 98th percentile of the clear pixels."""
        colour_HW3, valid_HW = self._colours()
        clear = valid_HW & (True if self.quality is None else self.quality != Quality.CLOUD)
        seen = colour_HW3[clear] if clear.any() else colour_HW3.reshape(-1, 3)
        return min(0.0, float(seen.min())), float(np.percentile(seen, 98.0))

    def _colours(self) -> tuple[Array, Array]:
        """The bands for red, green and blue [H, W, 3], and where they are valid [H, W]."""
        rows = [self.bands.index(name) for name in TRUE_COLOUR]
        valid = self.valid[rows if len(self.valid) > 1 else [0]].all(axis=0)
        return np.moveaxis(self.values[rows], 0, 2), valid
