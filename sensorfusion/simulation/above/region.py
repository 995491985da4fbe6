"""A region at two dates: what is on the ground, what satellites measured, and where it lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sensorfusion.sensors.raster import UNKNOWN
from sensorfusion.simulation.above.block import place_block
from sensorfusion.simulation.above.changes import change_land
from sensorfusion.simulation.above.grid import Array, Floats, Grid
from sensorfusion.simulation.above.land import Land, make_land
from sensorfusion.simulation.above.materials import CLASSES, CROPS, GRASS, LABEL_M
from sensorfusion.simulation.above.optical import averaged, draw_pass, photograph
from sensorfusion.simulation.above.radar import draw_orbit, measure
from sensorfusion.simulation.above.terrain import Site, draw_site
from sensorfusion.simulation.scene import Scene, make_scene

PIXEL = 10.0  # metres
FACTOR = 4  # cells per side of a pixel
MARGIN = 16  # pixels around a region that are computed too, for shadows and layover
CRS = "EPSG:32632"
EASTING, NORTHING, PITCH, PER_ROW = 300_000.0, 5_100_000.0, 5_000.0, 80


@dataclass(frozen=True, eq=False)
class Region:
    """A region at two dates (D = 2). Shape letters: B bands, H rows (south), W columns (east).

    Args:
        transform: pixel corners to map coordinates in `CRS`, float64 [2, 3].
        optical_DBHW: reflectance. optical_valid: bool [D, H, W].
        radar_DBHW: dB. radar_valid: bool [D, H, W].
        optical_quality, radar_quality: uint8 [D, H, W], `sensors.raster.Quality`, 255 where not
            valid.
        label_DHW: uint8, class of most of a pixel, `materials.CLASSES`.
        change_HW: uint8, kind of change of most of a pixel, `materials.CHANGES`.
        map_HW: uint8, what a map from before the first date says: parcels without what stands
            on them, some out of date.
    """

    seed: int
    scene: int
    transform: npt.NDArray[np.float64]
    optical_DBHW: Floats
    optical_valid: Array
    optical_quality: Array
    radar_DBHW: Floats
    radar_valid: Array
    radar_quality: Array
    label_DHW: Array
    change_HW: Array
    map_HW: Array


def world_offset(scene: int) -> tuple[float, float]:
    """Easting and northing in `CRS` of the origin of a scene's world; its x is east, y north."""
    row, column = divmod(scene, PER_ROW)
    return EASTING + PITCH * column, NORTHING + PITCH * row


def region_grid(scene: Scene, size: int) -> Grid:
    """Pixels of the region around a scene's block, in world axes.

    Edges are whole multiples of a pixel, so that pixels of regions of any size coincide.
    """
    middle = np.rint(scene.T_world_block[:2, 3] / PIXEL) * PIXEL
    half = PIXEL * (size // 2)
    return Grid(float(middle[0]) - half, float(middle[1]) + half, PIXEL, size, size)


def make_region(seed: int, number: int, size: int) -> Region:
    """The region that a seed and a scene's number name: always the same.

    A smaller region's ground is the middle of a larger one's; noise and speckle are its own.

    Args:
        size: pixels along each side.
    """
    scene = make_scene(seed, number)
    site = draw_site(seed, number, scene.T_world_block)
    grid = region_grid(scene, size)
    wide = grid.grown(MARGIN)
    fine = wide.refined(FACTOR)
    first = make_land(fine, site)
    place_block(fine, scene, first)
    second, change = change_land(fine, site, first)
    orbit, inner = draw_orbit(site), np.s_[..., MARGIN:-MARGIN, MARGIN:-MARGIN]
    lands = (first, second)
    photos = [photograph(wide, site, lands[d], draw_pass(site, d), FACTOR) for d in (0, 1)]
    echoes = [measure(wide, site, lands[d], orbit, d, FACTOR) for d in (0, 1)]
    optical_valid, radar_valid = (swath(grid, site, purpose) for purpose in (0, 1))
    optical, radar = (np.stack([made[0] for made in both])[inner] for both in (photos, echoes))
    quality = [np.stack([made[1] for made in both])[inner] for both in (photos, echoes)]
    labels = [majority(LABEL_M[land.material_HW], FACTOR, len(CLASSES)) for land in lands]
    offset = np.array(world_offset(number))
    transform = grid.transform
    transform[:, 2] += offset
    return Region(
        seed,
        number,
        transform,
        np.where(optical_valid[:, None], optical, np.float32(0.0)),
        optical_valid,
        np.where(optical_valid, quality[0], np.uint8(UNKNOWN)),
        np.where(radar_valid[:, None], radar, np.float32(0.0)),
        radar_valid,
        np.where(radar_valid, quality[1], np.uint8(UNKNOWN)),
        np.stack(labels)[inner],
        majority(change, FACTOR, 5)[inner],
        _old_map(first)[inner],
    )


def majority(numbers_HW: Array, factor: int, classes: int) -> Array:
    """The most frequent number in `factor` x `factor` cells (the smaller on a tie): uint8."""
    counts = np.stack([averaged(numbers_HW == n, factor) for n in range(classes)])
    return np.asarray(counts.argmax(axis=0), np.uint8)


def _old_map(land: Land) -> Array:
    """Classes of the parcels; some fields were meadows before, and the other way round."""
    labels = LABEL_M[land.plain_HW]
    outdated = land.farmed_HW & (land.fields.draw(50) < 0.05)
    labels = np.where(outdated, np.where(labels == CROPS, GRASS, CROPS).astype(np.uint8), labels)
    return majority(labels, FACTOR, len(CLASSES))


def swath(grid: Grid, site: Site, purpose: int) -> Array:
    """Where the satellite's swath covers the region at each date: bool [2, H, W]."""
    x, y = (c - np.float32(t) for c, t in zip(grid.xy, site.town, strict=True))
    reach = 0.5 * PIXEL * max(grid.height, 2)
    valid = []
    for date in (0, 1):
        draw = np.random.default_rng([site.key, 27, purpose, date]).uniform
        angle, place, cut = draw(-0.25, 0.25) + np.pi * (draw() < 0.5), draw(0.55, 1.0), draw()
        inside = x * np.cos(angle) + y * np.sin(angle) < place * reach
        valid.append(inside | (cut > 0.1))
    return np.stack(valid)
