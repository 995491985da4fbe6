"""Where objects of a town are at any time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sensorfusion.simulation.drive import Drive
from sensorfusion.simulation.ground import Ground

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Track:
    """Where an object is at time t: along x, and across from the street's middle.

    x = x_0 + speed t + wave sin(rate t + phase) (+ the ego vehicle's x, for those that drive
    with it); across = a_0 + drift t. What moves faces where it goes; what stands has a heading
    relative to the street.
    """

    x: float
    across: float
    heading: float = 0.0
    speed: float = 0.0
    drift: float = 0.0
    wave: float = 0.0
    rate: float = 0.0
    phase: float = 0.0
    follows: bool = False
    lift: float = 0.0
    free: bool = False  # across is y itself

    @property
    def moves(self) -> bool:
        """Whether the object ever changes its place."""
        return self.follows or self.speed != 0.0 or self.drift != 0.0 or self.wave != 0.0

    def pose(self, ground: Ground, drive: Drive, seconds: float) -> Floats:
        """T_block_object at a time."""
        x, speed = self._along(drive, seconds)
        across = self.across + self.drift * seconds
        centre, slope = (0.0, 0.0) if self.free else ground.middle(x)
        y = float(centre) + across
        if self.moves:
            heading = math.atan2(float(slope) * speed + self.drift, speed)
        else:
            heading = self.heading + math.atan(float(slope))
        return ground.pose(x, y, heading, lift=self.lift)

    def _along(self, drive: Drive, seconds: float) -> tuple[float, float]:
        angle = self.rate * seconds + self.phase
        x = self.x + self.speed * seconds + self.wave * math.sin(angle)
        speed = self.speed + self.wave * self.rate * math.cos(angle)
        if self.follows:
            x += drive.x(seconds) - drive.x(0.0)
            speed += drive.speed(seconds)
        return x, speed
