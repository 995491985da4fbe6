"""Transforms of whole samples: several views of one sensor, and sensors that go missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sensorfusion.changed import changed
from sensorfusion.errors import ConfigError
from sensorfusion.sample import Frame, Sample
from sensorfusion.sensors.transform import Transforms, apply_all, flat


@dataclass(frozen=True, kw_only=True)
class Views:
    """Several differently augmented copies of one sensor, each a sensor of its own.

    `Views(sensor="imu", views={"1": (...), "2": (...)})` makes `imu.1` and `imu.2`; a model
    gives both names the same encoder. The transforms of a view name the original sensor.

    Args:
        sensor: the sensor that is copied.
        views: name of the view -> its transforms.
        keep: whether the original stays too.
    """

    sensor: str
    views: Mapping[str, Transforms]
    keep: bool = False

    @property
    def random(self) -> bool:
        """Whether any of the views draws."""
        return any(t.random for transforms in self.views.values() for t in flat(transforms))

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        alone = changed(sample, frames=tuple(_only(frame, self.sensor) for frame in sample.frames))
        kept = sample if self.keep else sample.map_readings(self._without)
        frames = list(kept.frames)
        for view, transforms in self.views.items():
            seen = apply_all(transforms, alone, generator)
            for place, frame in enumerate(seen.frames):
                frames[place] = _added(frames[place], frame, self.sensor, f"{self.sensor}.{view}")
        return changed(sample, frames=tuple(frames))

    def _without(self, name: str, reading: Any) -> Any:
        return None if name == self.sensor else reading


def _only(frame: Frame, sensor: str) -> Frame:
    readings = {name: r for name, r in frame.readings.items() if name == sensor}
    return changed(frame, readings=readings)


def _added(frame: Frame, source: Frame, sensor: str, name: str) -> Frame:
    """The frame with all that `source` has for `sensor` under another name."""
    return Frame(
        readings=_renamed(frame.readings, source.readings, sensor, name),
        poses=_renamed(frame.poses, source.poses, sensor, name),
        calibration=_renamed(frame.calibration, source.calibration, sensor, name),
    )


def _renamed(
    table: Mapping[str, Any], source: Mapping[str, Any], sensor: str, name: str
) -> dict[str, Any]:
    return {**table, name: source[sensor]} if sensor in source else dict(table)


@dataclass(frozen=True, kw_only=True)
class DropSensors:
    """Leave out sensors at random, as they fail in use; at least one of a sample stays.

    A sensor that is left out is left out of every frame. Which sets of sensors occur follows the
    given probabilities, on the condition that not all of the sample's sensors are gone. Apply it
    before `Views`, so that a sensor goes with all of its views.

    Args:
        p: probability of each named sensor to be left out; others always stay.
    """

    p: Mapping[str, float]

    def __post_init__(self) -> None:
        wrong = {name: p for name, p in self.p.items() if not 0.0 <= p < 1.0}
        if wrong:
            raise ConfigError(
                f"probabilities outside [0, 1): {wrong}",
                where="DropSensors",
                remedy="to leave a sensor out always, do not read it",
            )

    @property
    def random(self) -> bool:
        """Always."""
        return True

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        present = sorted({name for frame in sample.frames for name in frame.readings})
        if not present:
            return sample
        dropped = set(present)
        while len(dropped) == len(present):
            dropped = {name for name in present if generator.random() < self.p.get(name, 0.0)}
        return sample.map_readings(lambda name, reading: None if name in dropped else reading)
