"""Sun, sky and haze of a scene."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Light:
    """Light of one scene, linear RGB.

    Args:
        sun_3: unit vector to the sun, block axes.
        table_16: sunlight (3), zenith (3), horizon (3), share of clouds, haze (1/m), exposure,
            cloud phase, and three that are free.
    """

    sun_3: Floats
    table_16: Floats


def make_light(generator: np.random.Generator) -> Light:
    """Draw a light: sunny or overcast, high or low sun, more or less haze."""
    draw = generator.uniform
    height, turn = math.radians(draw(18, 62)), draw(0, 2 * math.pi)
    sun = np.array(
        [math.cos(height) * math.cos(turn), math.cos(height) * math.sin(turn), math.sin(height)]
    )
    clouds = draw(0.75, 1.0) if generator.random() < 0.25 else draw(0.1, 0.6)
    low = 1.0 - (math.degrees(height) - 18) / 44
    strength = 3.4 * (1.0 - 0.95 * max(0.0, (clouds - 0.6) / 0.4))
    sunlight = strength * np.array([1.0, 0.93 - 0.13 * low, 0.82 - 0.3 * low])
    grey = np.array([0.72, 0.74, 0.76])
    blue = np.array([0.25, 0.42, 0.78]) * draw(0.8, 1.1)
    veil = max(0.0, clouds - 0.55) * 2.0
    zenith = blue * (1 - veil) + grey * veil
    horizon = (np.array([0.68, 0.75, 0.84]) + low * np.array([0.1, 0.0, -0.12])) * (1 - veil)
    horizon += 0.85 * grey * veil
    exposure = draw(1.05, 1.55) / (0.45 + 0.28 * strength)
    table = np.zeros(16)
    table[:3], table[3:6], table[6:9] = sunlight, zenith, horizon
    table[9:13] = clouds, draw(0.001, 0.004), exposure, draw(0, 1000)
    return Light(sun, table)
