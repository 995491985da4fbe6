"""What every transform is: a frozen dataclass, called with a sample and a random generator.

A *preparation* is deterministic (resampling, normalising, cropping): it can be done once and
kept. An *augmentation* draws, and is split into `draw` and `apply`, so that a recorded draw can
be applied again.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, Protocol, TypeVar, cast

import numpy as np

from sensorfusion.changed import changed
from sensorfusion.errors import ConfigError
from sensorfusion.sample import Frame, Reading, ReadingT, Sample

DrawT = TypeVar("DrawT")


class Transform(Protocol):
    """`(sample, generator) -> sample`; all randomness comes from the given generator."""

    @property
    def random(self) -> bool:
        """Whether the result depends on the generator."""

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        """A transformed copy."""


Transforms = Sequence["Transform | Transforms"]


def flat(transforms: Transforms) -> Iterator[Transform]:
    """The transforms one after another; an entry may itself be a sequence of transforms."""
    for entry in transforms:
        if isinstance(entry, Sequence):
            yield from flat(entry)
        else:
            yield entry


def apply_all(transforms: Transforms, sample: Sample, generator: np.random.Generator) -> Sample:
    """The sample after every transform, in order."""
    for transform in flat(transforms):
        sample = transform(sample, generator)
    return sample


@dataclass(frozen=True, kw_only=True)
class SensorTransform(abc.ABC, Generic[ReadingT]):
    """Changes the readings of the named sensors, each on its own; absent sensors stay absent.

    Args:
        sensors: names of the sensors that it acts on.

    Raises:
        ConfigError: when a named sensor is of another type than the transform is made for.
    """

    kind: ClassVar[type[Reading]] = Reading
    sensors: tuple[str, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.sensors, tuple):
            raise ConfigError(
                f"sensors = {self.sensors!r} is not a tuple of names",
                where=type(self).__name__,
                remedy='write for example sensors=("imu",)',
            )

    @property
    @abc.abstractmethod
    def random(self) -> bool:
        """Whether the result depends on the generator."""

    @abc.abstractmethod
    def change(self, frame: Frame, sensor: str, generator: np.random.Generator) -> Frame:
        """A copy of the frame in which one present sensor is changed."""

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        return changed(
            sample, frames=tuple(self._change_all(frame, generator) for frame in sample.frames)
        )

    def _change_all(self, frame: Frame, generator: np.random.Generator) -> Frame:
        for sensor in self.sensors:
            if sensor in frame.readings:
                frame = self.change(frame, sensor, generator)
        return frame

    def reading(self, frame: Frame, sensor: str) -> ReadingT:
        """The reading of a present sensor, checked for its type."""
        reading = frame.readings[sensor]
        if not isinstance(reading, self.kind):
            raise ConfigError(
                f"{type(self).__name__} is made for {self.kind.__name__}, "
                f"sensor {sensor!r} is a {type(reading).__name__}",
                where=reading.source,
                remedy=f"list only sensors of type {self.kind.__name__} in its `sensors`",
            )
        if self.kind is Reading and not reading.IN_TIME:
            raise ConfigError(
                f"{type(self).__name__} is made for rows in time, "
                f"sensor {sensor!r} is a {type(reading).__name__}",
                where=reading.source,
                remedy="leave the sensor out of its `sensors`",
            )
        return cast(ReadingT, reading)


@dataclass(frozen=True, kw_only=True)
class Preparation(SensorTransform[ReadingT]):
    """A deterministic change of single readings; a subclass defines `prepare`."""

    @property
    def random(self) -> bool:
        return False

    @abc.abstractmethod
    def prepare(self, reading: ReadingT) -> ReadingT:
        """The changed reading."""

    def change(self, frame: Frame, sensor: str, generator: np.random.Generator) -> Frame:
        return replace_reading(frame, sensor, self.prepare(self.reading(frame, sensor)))


@dataclass(frozen=True, kw_only=True)
class Augmentation(SensorTransform[ReadingT], Generic[ReadingT, DrawT]):
    """A random change of single readings; a subclass defines `draw` and `apply`.

    Args:
        p: probability with which a reading is changed at all.
    """

    p: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 <= self.p <= 1.0:
            raise ConfigError(
                f"p = {self.p} is no probability",
                where=type(self).__name__,
                remedy="give p in [0, 1]",
            )

    @property
    def random(self) -> bool:
        return True

    @abc.abstractmethod
    def draw(self, reading: ReadingT, generator: np.random.Generator) -> DrawT:
        """The random part: everything that `apply` needs beside the reading."""

    @abc.abstractmethod
    def apply(self, reading: ReadingT, draw: DrawT) -> ReadingT:
        """The deterministic part."""

    def change(self, frame: Frame, sensor: str, generator: np.random.Generator) -> Frame:
        reading = self.reading(frame, sensor)
        if generator.random() >= self.p:
            return frame
        draw = self.draw(reading, generator)
        return self.applied(frame, sensor, draw)

    def applied(self, frame: Frame, sensor: str, draw: DrawT) -> Frame:
        """The frame after `apply`; overridden where calibration changes with the reading."""
        return replace_reading(frame, sensor, self.apply(self.reading(frame, sensor), draw))


def replace_reading(frame: Frame, sensor: str, reading: Reading) -> Frame:
    """A copy of the frame with another reading for one sensor."""
    return changed(frame, readings={**frame.readings, sensor: reading})
