"""What an imager like Sentinel-2's sees: surface reflectance in twelve bands (L2A).

Shape letters: B bands, H rows and W columns of pixels; fine arrays have `factor` cells per pixel
along each side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter

from sensorfusion.sensors.optical import L2A_BANDS, numbers_of, reflectance_of
from sensorfusion.sensors.raster import Quality
from sensorfusion.simulation.above.grid import Array, Floats, Grid, fractal, noise
from sensorfusion.simulation.above.land import Land
from sensorfusion.simulation.above.light import cast_shadow, shading
from sensorfusion.simulation.above.materials import (
    AGED_M,
    NUMBER,
    REFLECTANCE_MB,
    VARIED_M,
)
from sensorfusion.simulation.above.terrain import Site

SIXTY, TWENTY = ("B01", "B09"), ("B05", "B06", "B07", "B8A", "B11", "B12")  # metres of a pixel
# Share of the light that comes from the sky, and reflectance of thick cloud, per band.
SKY_B = (0.34, 0.28, 0.21, 0.16, 0.14, 0.12, 0.11, 0.1, 0.1, 0.09, 0.05, 0.04)
CLOUD_B = (0.68, 0.66, 0.65, 0.66, 0.67, 0.68, 0.69, 0.7, 0.7, 0.6, 0.44, 0.34)
CLOUD_HEIGHT = 900.0
FARTHEST_SHADOW = 300.0


@dataclass(frozen=True)
class Pass:
    """One passage of the imager.

    Args:
        date: 0 or 1. azimuth, elevation: of the sun (radians). clouds: share, roughly.
        cloud_size: of the largest (m).
        haze: path reflectance in the blue that atmospheric correction has left.
        growth: how much drier (or lusher, below 0) all plants are than usual.
    """

    date: int
    azimuth: float
    elevation: float
    clouds: float
    cloud_size: float
    haze: float
    growth: float


def draw_pass(site: Site, date: int) -> Pass:
    """The passage at a date."""
    draw = np.random.default_rng([site.key, 22, date]).uniform
    cloudy = draw() < 0.45
    return Pass(
        date=date,
        azimuth=math.radians(draw(138, 172)),
        elevation=math.radians(draw(30, 62)),
        clouds=float(draw(0.04, 0.3)) if cloudy else 0.0,
        cloud_size=float(draw(300.0, 1100.0)),
        haze=float(draw(-0.004, 0.012)),
        growth=float(draw(-0.12, 0.18)),
    )


def photograph(grid: Grid, site: Site, land: Land, seen: Pass, factor: int) -> tuple[Floats, Array]:
    """Reflectance [B, H, W] and quality [H, W] of a window.

    Args:
        grid: of the pixels. land: in cells `factor` times smaller.
    """
    direct = sunlight(land, grid.cell / factor, seen)
    aged, bright = _ageing(grid.refined(factor), site, land, seen)
    cloud, shadow = clouds(grid, site, seen)
    dim = averaged(direct, factor)
    generator = np.random.default_rng([site.key, 23, seen.date])
    image = np.empty((len(L2A_BANDS), grid.height, grid.width), np.float32)
    material, other = land.material_HW, AGED_M[land.material_HW]
    for b, name in enumerate(L2A_BANDS):
        fine = REFLECTANCE_MB[:, b].astype(np.float32)[material]
        fine += aged * (REFLECTANCE_MB[:, b].astype(np.float32)[other] - fine)
        fine *= bright * (SKY_B[b] + np.float32(1 - SKY_B[b]) * direct)
        band = _blurred(averaged(fine, factor), name)
        band *= 1 - shadow * np.float32(0.85 * (1 - SKY_B[b])) * np.minimum(dim, 1.0)
        band += np.float32(max(seen.haze, -0.004) * (SKY_B[b] / SKY_B[1]))
        band += cloud * (CLOUD_B[b] * (0.85 + 0.3 * cloud) - band)
        band += (0.0012 + 0.012 * band) * generator.standard_normal(band.shape, np.float32)
        image[b] = reflectance_of(numbers_of(band.clip(0.0, 1.0)))
    quality = np.zeros(cloud.shape, np.uint8)
    quality[shadow > 0.35] = Quality.CLOUD_SHADOW
    quality[cloud > 0.2] = Quality.CLOUD
    return image, quality


def sunlight(land: Land, cell: float, seen: Pass) -> Floats:
    """Direct light relative to level, free ground: [H, W]."""
    crowns = np.minimum(land.object_HW, 30.0)
    surface = land.ground_HW + crowns
    # Roofs are taken as level; crowns are round, and so darker than their slopes.
    rounded = land.ground_HW + gaussian_filter(np.where(crowns > 1.4, 0.35 * crowns, 0.0), 0.8)
    hidden = cast_shadow(surface, cell, seen.azimuth, seen.elevation, FARTHEST_SHADOW)
    direct = shading(rounded, cell, seen.azimuth, seen.elevation)
    return np.asarray(np.where(hidden, 0.12, 1.0) * np.minimum(direct, 2.2), np.float32)


def clouds(grid: Grid, site: Site, seen: Pass) -> tuple[Floats, Floats]:
    """Cover by clouds and by their shadows, 0 to 1: two [H, W]."""
    if seen.clouds == 0.0:
        return (np.zeros((grid.height, grid.width), np.float32),) * 2
    # The sun's ray through a cloud meets the ground this far away from below it.
    away = CLOUD_HEIGHT / math.tan(seen.elevation)
    shift = (-away * math.sin(seen.azimuth), -away * math.cos(seen.azimuth))
    key = site.key + 600 + 50_000 * seen.date
    found = []
    for moved in ((0.0, 0.0), shift):
        thick = fractal(grid, seen.cloud_size, 7, key, 0.55, shift=moved)
        level = 1.75 - 3.2 * seen.clouds
        found.append(np.asarray(((thick - level) / 0.8).clip(0, 1) ** 1.4, np.float32))
    return found[0], found[1]


def _ageing(grid: Grid, site: Site, land: Land, seen: Pass) -> tuple[Floats, Floats]:
    """How far cells have faded into what their material becomes, and their brightness: [H, W]."""
    key, date = site.key + 700, seen.date
    fields, stands, blocks = land.fields, land.stands, land.blocks
    patch = fractal(grid, 140.0, 4, key, 0.6)
    own = np.where(land.wooded_HW, stands.draw(30), fields.draw(30))
    drift = np.where(land.wooded_HW, stands.draw(31 + date), fields.draw(31 + date)) - 0.5
    rows = np.sin(fields.v_HW * np.float32(2 * np.pi / 12.0)) * (fields.draw(33) < 0.5)
    tractor = np.where(land.farmed_HW, 0.06 * rows + 0.1 * patch, 0.07 * patch)
    aged = 0.55 * own**2 + 0.35 * drift + tractor + seen.growth
    speck = noise(grid, 5.0, key + 1) - np.float32(0.5)
    vary = VARIED_M[land.material_HW]
    built = (blocks.draw(30) - 0.5) * 1.2 + (noise(grid, 16.0, key + 2) - 0.5) * 2.4
    soft = 1.1 * (own - 0.5) + 0.5 * drift + 0.35 * patch
    in_town = ~(land.farmed_HW | land.wooded_HW)
    bright = np.exp(vary * (np.where(in_town, built, soft) + 1.1 * speck))
    still = np.isin(land.material_HW, (NUMBER["water"], NUMBER["turbid"]))
    aged = np.where(still, 0.35 + 0.22 * patch + 1.4 * seen.growth, aged)
    return np.asarray(aged.clip(0.0, 0.85), np.float32), np.asarray(bright, np.float32)


def _blurred(band_HW: Floats, name: str) -> Floats:
    """The imager's point spread; coarse bands come resampled to the fine ones' grid."""
    band_HW = gaussian_filter(band_HW, 0.4, mode="nearest")
    size = 6 if name in SIXTY else 2 if name in TWENTY else 1
    return np.asarray(uniform_filter(band_HW, size, mode="nearest"), np.float32)


def averaged(fine_HW: Array, factor: int) -> Floats:
    """Means of `factor` x `factor` cells."""
    blocks = fine_HW.reshape(len(fine_HW) // factor, factor, -1)
    rows = blocks.sum(axis=1, dtype=np.float32)
    total = rows[:, ::factor].copy()
    for column in range(1, factor):
        total += rows[:, column::factor]
    return np.asarray(total / np.float32(factor**2))
