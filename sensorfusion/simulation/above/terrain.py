"""Bare ground of a region: hills, a river's valley, the level place on which the town stands."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sensorfusion.simulation.above.grid import Floats, Grid, fractal

RIVER_CLEAR = 420.0  # metres that the middle of the river keeps from the town's middle


@dataclass(frozen=True)
class Site:
    """What is drawn once for a region.

    Args:
        key: of every noise. town: its middle, world axes (m). heading: of its street (radians).
        relief: deviation of the hills' heights (m). woods, pasture: shares, roughly.
        river: angle of its course, distance from the town, breadth, phase; breadth 0: none.
        spread: radius of the town (m).
    """

    key: int
    town: tuple[float, float]
    heading: float
    relief: float
    woods: float
    pasture: float
    river: tuple[float, float, float, float]
    spread: float


def draw_site(seed: int, scene: int, T_world_block: npt.NDArray[np.float64]) -> Site:
    """The site of a scene."""
    generator = np.random.default_rng([seed, scene, 20])
    draw = generator.uniform
    offset = draw(RIVER_CLEAR, 900.0) * generator.choice([-1.0, 1.0])
    breadth = draw(30.0, 110.0) if draw() < 0.75 else 0.0
    return Site(
        key=int(generator.integers(1 << 30)),
        town=(float(T_world_block[0, 3]), float(T_world_block[1, 3])),
        heading=math.atan2(T_world_block[1, 0], T_world_block[0, 0]),
        relief=float(draw(6.0, 65.0)),
        woods=float(draw(0.12, 0.42)),
        pasture=float(draw(0.15, 0.5)),
        river=(float(draw(0, math.pi)), float(offset), float(breadth), float(draw(0, 6.28))),
        spread=float(draw(330.0, 650.0)),
    )


def town_distance(grid: Grid, site: Site) -> Floats:
    """Metres from the middle of the town: [H, W]."""
    x, y = grid.xy
    return np.hypot(x - np.float32(site.town[0]), y - np.float32(site.town[1]))


def river_distance(grid: Grid, site: Site) -> Floats:
    """Metres from the river's bank, negative in the water; far away where there is none: [H, W]."""
    angle, offset, breadth, phase = site.river
    if breadth == 0.0:
        return np.full((grid.height, grid.width), 1e5, np.float32)
    x, y = (c - np.float32(t) for c, t in zip(grid.xy, site.town, strict=True))
    along = (x * math.cos(angle) + y * math.sin(angle)) / 1000
    across = y * math.cos(angle) - x * math.sin(angle)
    away = 1.0 if offset > 0 else -1.0  # bends lead away from the town
    bend = 160.0 * (1 + np.sin(3.1 * along + phase)) + 45.0 * (1 + np.sin(9.7 * along + 2 * phase))
    slope = (0.16 * 3.1 * np.cos(3.1 * along + phase)) + (
        0.045 * 9.7 * np.cos(9.7 * along + 2 * phase)
    )
    middle = np.abs(across - offset - away * bend) / np.sqrt(1 + slope**2)
    return np.asarray(middle - 0.5 * breadth * (1 + 0.25 * np.sin(5.3 * along)), np.float32)


def ground_height(grid: Grid, site: Site, bank_HW: Floats) -> Floats:
    """Height of the bare ground above the river (m): [H, W]."""
    hills = np.float32(site.relief) * (fractal(grid, 900.0, 5, site.key + 1, 0.42) + 1.2)
    hills = np.maximum(hills, 0.15 * hills)
    town = np.exp(-((town_distance(grid, site) / 620.0) ** 4))
    level = 4.0 + 0.15 * site.relief
    hills = hills * (1 - town) + np.float32(level) * town
    valley = 1 - np.exp(-((np.maximum(bank_HW, 0.0) / (140.0 + 4 * site.relief)) ** 1.5))
    rough = 0.25 * fractal(grid, 24.0, 3, site.key + 2)
    return np.asarray(np.where(bank_HW < 0, 0.0, hills * valley + 0.8 + rough), np.float32)


def slope_of(height_HW: Floats, cell: float) -> tuple[Floats, Floats]:
    """Slopes of a surface to the east and to the north: two [H, W]."""
    south, east = np.gradient(height_HW, np.float32(cell))
    return east, -south
