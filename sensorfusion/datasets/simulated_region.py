"""The region around a simulated town from above: optical and radar rasters at two dates, a map.

Needs no files. Scene n of a seed is the same place as in `SimulatedWorld`: what drives through
the town there has its streets and buildings here. World coordinates (x, y) of the scene lie at
easting and northing `world_offset(n) + (x, y)` of the rasters' reference system.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from sensorfusion.datasets.dataset import require_known
from sensorfusion.errors import ConfigError
from sensorfusion.geometry.clock import Clock
from sensorfusion.geometry.rasters import window_map
from sensorfusion.sample import Frame, Reading, Sample
from sensorfusion.sensors.optical import L2A, L2A_BANDS, L2A_NODATA
from sensorfusion.sensors.radar import GRD, SENTINEL1_BANDS
from sensorfusion.sensors.raster import CLASS, DECIBEL, REFLECTANCE, UNKNOWN, Raster
from sensorfusion.simulation.above.materials import CHANGES, CLASSES
from sensorfusion.simulation.above.region import CRS, Region, make_region

SENSORS = ("optical", "radar", "map")
MAP = "land cover"  # level and band of the map
RADAR_NODATA = -9999.0
EPOCH = 1_600_000_000  # seconds since the Unix epoch at which scene 0 is first seen
DAY = 86_400


class SimulatedRegion:
    """Regions around towns at two dates; a sample is a chip of one of them.

    A sample has two frames, the dates, which share one grid. "optical" is Sentinel-2-like surface
    reflectance in twelve bands, "radar" Sentinel-1-like backscatter in dB, and "map", in the
    first frame alone, land cover as a map from before the first date has it: classes of parcels,
    some out of date.

    Args:
        scenes: numbers of the scenes; their regions share nothing but the rules.
        seed: of everything.
        size: pixels of 10 m along each side of a region.
        chip: pixels along each side of a sample; regions give (size // chip)^2 samples.
        sensors: which of "optical", "radar" and "map".
        labels: readings carry the truth: `label`, `change` and `quality`.

    Raises:
        ConfigError: on unknown sensors or settings that cannot be.
    """

    def __init__(
        self,
        scenes: Sequence[int] = tuple(range(8)),
        *,
        seed: int = 0,
        size: int = 256,
        chip: int = 128,
        sensors: Sequence[str] = SENSORS,
        labels: bool = False,
    ) -> None:
        _check(scenes, seed, size, chip)
        self.scenes, self.seed = tuple(scenes), seed
        self.size, self.chip, self.labels = size, chip, labels
        self._names = require_known(sensors, SENSORS, what="sensors", where="simulated region")
        self._along = size // chip

    @property
    def sensors(self) -> Mapping[str, type[Reading]]:
        """The type of reading of every sensor."""
        return dict.fromkeys(self._names, Raster)

    @property
    def class_names(self) -> Mapping[str, Sequence[str]]:
        """Classes of land cover and kinds of change."""
        seen = [name for name in self._names if name != "map"] if self.labels else []
        tables = {f"{name}.label": CLASSES for name in seen}
        return tables | {f"{name}.change": CHANGES for name in seen}

    def __len__(self) -> int:
        return len(self.scenes) * self._along**2

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        place, chip = divmod(index, self._along**2)
        row, column = divmod(chip, self._along)
        region = _region(self.seed, self.scenes[place], self.size)
        readings = [self._readings(region, date, row, column) for date in (0, 1)]
        return Sample(
            id=f"scene{region.scene:04d}_row{row}_column{column}",
            frames=tuple(Frame(each) for each in readings if each),
            keys={"scene": region.scene, "chip": chip},
        )

    def _readings(self, region: Region, date: int, row: int, column: int) -> dict[str, Reading]:
        top, left = row * self.chip, column * self.chip
        window = np.s_[..., top : top + self.chip, left : left + self.chip]
        found: dict[str, Reading] = {}
        for name in self._names:
            if name == "map" and date == 1:
                continue
            whole = raster_of(region, name, date, labels=self.labels)
            planes = {plane: getattr(whole, plane)[window] for plane in whole.planes}
            found[name] = whole.moved(planes, window_map(top, left))
        return found


def raster_of(region: Region, sensor: str, date: int, *, labels: bool) -> Raster:
    """One sensor's raster of a whole region at date 0 or 1."""
    source = f"sensor {sensor!r}, region {region.scene} of seed {region.seed}, date {date + 1}"
    common: dict[str, Any] = {"axes": CRS, "source": source, "transform": region.transform}
    clock = Clock.instant(seconds_of(region.scene, sensor, date) * 1_000_000_000)
    if sensor == "map":
        return Raster(
            **common,
            clock=clock,
            unit=CLASS,
            level=MAP,
            nodata=UNKNOWN,
            bands=(MAP,),
            values=region.map_HW[None].astype(np.float32),
            valid=np.ones((1, *region.map_HW.shape), np.bool_),
        )
    optical = sensor == "optical"
    raster = Raster(
        **common,
        clock=clock,
        unit=REFLECTANCE if optical else DECIBEL,
        level=L2A if optical else GRD,
        nodata=L2A_NODATA if optical else RADAR_NODATA,
        bands=L2A_BANDS if optical else SENTINEL1_BANDS,
        values=(region.optical_DBHW if optical else region.radar_DBHW)[date],
        valid=(region.optical_valid if optical else region.radar_valid)[date][None],
    )
    if not labels:
        return raster
    return raster.replace(
        label=region.label_DHW[date],
        change=region.change_HW if date else np.zeros_like(region.change_HW),
        quality=(region.optical_quality if optical else region.radar_quality)[date],
    )


def seconds_of(scene: int, sensor: str, date: int) -> int:
    """When a sensor saw a region; the dates are 30 to 129 days apart."""
    first = EPOCH + DAY * (scene % 1000)
    later = 30 + (37 * scene) % 100
    hours = {"optical": 0, "radar": 7, "map": -24 * 365}[sensor]
    return first + date * later * DAY + hours * 3600


@lru_cache(maxsize=4)
def _region(seed: int, number: int, size: int) -> Region:
    return make_region(seed, number, size)


def _check(scenes: Sequence[int], seed: int, size: int, chip: int) -> None:
    """Refuse what cannot be, before anything is computed."""
    problem = ""
    if not scenes or min(scenes) < 0 or len(set(scenes)) < len(scenes):
        problem = f"scenes = {tuple(scenes)}: give different numbers from 0"
    elif seed < 0:
        problem = f"seed = {seed}: give a number from 0"
    elif not 8 <= size <= 2048 or size % 2:
        problem = f"size = {size}: give an even number of pixels from 8 to 2048"
    elif not 1 <= chip <= size:
        problem = f"chip = {chip}: give pixels from 1 to {size}"
    if problem:
        raise ConfigError(problem, where="SimulatedRegion", remedy="change the setting")
