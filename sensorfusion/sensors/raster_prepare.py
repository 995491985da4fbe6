"""Deterministic changes of rasters: bands, units, normalisation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sensorfusion.errors import ConfigError, UnitError
from sensorfusion.sample import Array
from sensorfusion.sensors.raster import DECIBEL, NUMBERS, POWER, REFLECTANCE, Raster
from sensorfusion.sensors.transform import Preparation

FLOOR, FLOOR_DECIBELS = 1e-10, -100.0  # linear power: what less becomes


@dataclass(frozen=True, kw_only=True)
class BandStatistics:
    """Mean and deviation of bands over some collection.

    Args:
        name: of the unit that normalised values have; a checkpoint keeps it.
        unit: of the values before. bands, mean, deviation: C each.

    Raises:
        ConfigError: when their lengths differ, or a deviation is not positive.
    """

    name: str
    unit: str
    bands: tuple[str, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def __post_init__(self) -> None:
        alike = len(self.bands) == len(self.mean) == len(self.deviation)
        if not alike or not all(value > 0 for value in self.deviation):
            raise ConfigError(
                f"{len(self.bands)} bands, {len(self.mean)} means, deviations {self.deviation}",
                where=f"statistics {self.name!r}",
                remedy="give one mean and one positive deviation per band",
            )


@dataclass(frozen=True, kw_only=True)
class SelectBands(Preparation[Raster]):
    """Keep some bands, in the given order.

    Raises:
        UnitError: when the raster lacks one.
    """

    kind = Raster
    bands: tuple[str, ...]

    def prepare(self, reading: Raster) -> Raster:
        rows = band_rows(self, reading, self.bands)
        valid = reading.valid[rows] if len(reading.valid) > 1 else reading.valid
        return reading.replace(values=reading.values[rows], valid=valid, bands=self.bands)


@dataclass(frozen=True, kw_only=True)
class NormaliseBands(Preparation[Raster]):
    """(value - mean) / deviation by named statistics; what is not valid stays 0.

    Raises:
        UnitError: when the raster is in another unit, or has a band without statistics.
    """

    kind = Raster
    statistics: BandStatistics

    def prepare(self, reading: Raster) -> Raster:
        table = self.statistics
        require_unit(self, reading, table.unit)
        unknown = [name for name in reading.bands if name not in table.bands]
        if unknown:
            raise UnitError(
                f"no statistics for bands {unknown}, only for {list(table.bands)}",
                where=reading.source,
                remedy="select other bands before, or use statistics of these",
            )
        rows = [table.bands.index(name) for name in reading.bands]
        mean, deviation = (
            np.array(column, np.float32)[rows, None, None]
            for column in (table.mean, table.deviation)
        )
        return with_values(reading, (reading.values - mean) / deviation, table.name)


@dataclass(frozen=True, kw_only=True)
class ToReflectance(Preparation[Raster]):
    """Digital numbers to reflectance = scale DN + offset, which the product's metadata names.

    Sentinel-2 L2A: `L2A_SCALE` and `L2A_OFFSET` (`sensors.optical`) since processing baseline
    04.00; offset 0 before.
    """

    kind = Raster
    scale: float
    offset: float

    def prepare(self, reading: Raster) -> Raster:
        require_unit(self, reading, NUMBERS)
        values = reading.values.astype(np.float64) * self.scale + self.offset
        return with_values(reading, values, REFLECTANCE)


@dataclass(frozen=True, kw_only=True)
class ToDecibels(Preparation[Raster]):
    """Linear power to dB, 10 log10; powers below -100 dB become -100 dB."""

    kind = Raster

    def prepare(self, reading: Raster) -> Raster:
        require_unit(self, reading, POWER)
        return with_values(reading, decibels(reading.values), DECIBEL)


@dataclass(frozen=True, kw_only=True)
class ToPower(Preparation[Raster]):
    """dB to linear power: what may be averaged over pixels."""

    kind = Raster

    def prepare(self, reading: Raster) -> Raster:
        require_unit(self, reading, DECIBEL)
        return with_values(reading, power(reading.values), POWER)


@dataclass(frozen=True, kw_only=True)
class LocalAxes(Preparation[Raster]):
    """Give up where the raster lies, so that several reference systems may share a batch.

    Pixels keep their size; the upper left corner becomes (0, 0).
    """

    kind = Raster

    def prepare(self, reading: Raster) -> Raster:
        transform = reading.transform.copy()
        transform[:, 2] = 0.0
        return reading.replace(axes="local, metres", transform=transform)


def decibels(values: Array) -> Array:
    """10 log10 of powers."""
    # On some processors the logarithm of the floor is rounded below it.
    found = 10.0 * np.log10(np.maximum(values, FLOOR))
    return np.asarray(np.maximum(found, FLOOR_DECIBELS))


def power(values: Array) -> Array:
    """Powers of decibels."""
    return np.asarray(10.0 ** (values / 10.0))


def with_values(reading: Raster, values: Array, unit: str) -> Raster:
    """New values in another unit; what is not valid stays 0."""
    return reading.replace(
        values=np.where(reading.valid, values, 0.0).astype(np.float32), unit=unit
    )


def band_rows(transform: object, reading: Raster, bands: tuple[str, ...]) -> list[int]:
    """Places of bands in a raster.

    Raises:
        UnitError: when the raster lacks one.
    """
    missing = [name for name in bands if name not in reading.bands]
    if missing:
        raise UnitError(
            f"{type(transform).__name__}: the raster has no band {missing}",
            where=reading.source,
            remedy=f"choose from {list(reading.bands)}",
        )
    return [reading.bands.index(name) for name in bands]


def require_unit(transform: object, reading: Raster, unit: str) -> None:
    """Raise `UnitError` unless the raster is in a unit."""
    if reading.unit != unit:
        raise UnitError(
            f"{type(transform).__name__} takes {unit!r}, found {reading.unit!r}",
            where=reading.source,
            remedy="check the order of the transforms, and the sensors that they name",
        )
