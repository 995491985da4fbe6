"""The ego vehicle's way through the block: smooth, with changing speed and curvature."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sensorfusion.simulation.ground import Ground

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Drive:
    """x = start + pace t + sum of sines; across the street = lane + a small weave.

    Args:
        waves_K3: amplitude (m), rate (rad/s), phase of the changes of x.
        weave: amplitude (m), rate (rad/s), phase of the sway across the lane.
        lane: offset of the lane's middle; negative is right.
    """

    start: float
    pace: float
    waves_K3: Floats
    weave: tuple[float, float, float]
    lane: float

    def x(self, seconds: float) -> float:
        """Place along the street."""
        amplitude, rate, phase = self.waves_K3.T
        return self.start + self.pace * seconds + float(amplitude @ np.sin(rate * seconds + phase))

    def speed(self, seconds: float) -> float:
        """Rate of x."""
        amplitude, rate, phase = self.waves_K3.T
        return self.pace + float((amplitude * rate) @ np.cos(rate * seconds + phase))

    def pose(self, ground: Ground, seconds: float) -> Floats:
        """T_block_ego: rear axle on the ground, axes FLU, float64 [4, 4]."""
        x, speed = self.x(seconds), self.speed(seconds)
        amplitude, rate, phase = self.weave
        across = self.lane + amplitude * math.sin(rate * seconds + phase)
        sway = amplitude * rate * math.cos(rate * seconds + phase)
        centre, slope = ground.middle(x)
        heading = math.atan2(float(slope) * speed + sway, speed)
        return ground.pose(x, float(centre) + across, heading)


def make_drive(generator: np.random.Generator, ground: Ground) -> Drive:
    """Draw a way; it never stops or turns back."""
    draw = generator.uniform
    pace = draw(3.5, 6.5)
    rates = np.array([draw(0.25, 0.4), draw(0.6, 0.9)])
    shares = np.array([draw(0.1, 0.5), draw(0.03, 0.12)])
    waves = np.stack([shares * pace / rates, rates, draw(0, 6.28, 2)], axis=1)
    lane = -1.6 if len(ground.lanes) > 1 else -1.45
    return Drive(
        -10.0 * pace + draw(-8, 8),
        pace,
        waves,
        (draw(0.05, 0.18), draw(0.3, 0.6), draw(0, 6.28)),
        lane,
    )
