"""Cells of a window of the world, and noise, zones and parcels on them that depend on place alone.

World axes: x east, y north, metres. Rows run south. Shape letters: H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sensorfusion.geometry.rasters import north_up
from sensorfusion.simulation.noise import lattice_reference

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
_KINDS = 65536  # of parcels: what two of one kind share is chance


@dataclass(frozen=True)
class Grid:
    """Square cells. Args: left, top: outer corner (m). cell: side (m). height, width: cells."""

    left: float
    top: float
    cell: float
    height: int
    width: int

    @property
    def eastings(self) -> npt.NDArray[np.float64]:
        """East coordinates of the columns' middles."""
        return np.asarray(self.left + self.cell * (np.arange(self.width) + 0.5))

    @property
    def northings(self) -> npt.NDArray[np.float64]:
        """North coordinates of the rows' middles."""
        return np.asarray(self.top - self.cell * (np.arange(self.height) + 0.5))

    @property
    def xy(self) -> tuple[Floats, Floats]:
        """Both for every cell [H, W]."""
        x, y = np.meshgrid(self.eastings.astype(np.float32), self.northings.astype(np.float32))
        return x, y

    @property
    def transform(self) -> npt.NDArray[np.float64]:
        """Cell corners to world coordinates, float64 [2, 3]."""
        return north_up(self.left, self.top, self.cell)

    def refined(self, factor: int) -> Grid:
        """The same window in smaller cells."""
        return Grid(
            self.left, self.top, self.cell / factor, self.height * factor, self.width * factor
        )

    def grown(self, margin: int) -> Grid:
        """A window with so many more cells on each side."""
        shift, more = margin * self.cell, 2 * margin
        return Grid(
            self.left - shift, self.top + shift, self.cell, self.height + more, self.width + more
        )


def noise(grid: Grid, scale: float, key: int, shift: tuple[float, float] = (0.0, 0.0)) -> Floats:
    """Smooth noise in [0, 1) with features of `scale` metres, moved by `shift`: float32 [H, W]."""
    i, u = _places((grid.eastings - shift[0]) / scale)
    j, v = _places((grid.northings - shift[1]) / scale)
    columns, rows = np.arange(i.min(), i.max() + 2), np.arange(j.min(), j.max() + 2)
    values = lattice_reference(columns[None, :], rows[:, None], key).astype(np.float32)
    i, j = i - i.min(), j - j.min()
    # Row by row, then column by column: the same sums for every window.
    down = values[j] + (values[j + 1] - values[j]) * v[:, None]
    return np.asarray(down[:, i] + (down[:, i + 1] - down[:, i]) * u)


def _places(coordinates: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.int64], Floats]:
    whole = np.floor(coordinates).astype(np.int64)
    part = (coordinates - whole).astype(np.float32)
    return whole, part * part * (3 - 2 * part)


def fractal(
    grid: Grid,
    scale: float,
    octaves: int,
    key: int,
    gain: float = 0.5,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Floats:
    """Noise of mean 0 and deviation near 1, `octaves` times finer and finer: float32 [H, W]."""
    total = np.zeros((grid.height, grid.width), np.float32)
    power = 0.0
    for octave in range(octaves):
        weight = gain**octave
        total += np.float32(weight) * (
            noise(grid, scale / 2.0**octave, key + 7919 * octave, shift) - np.float32(0.5)
        )
        power += 0.045 * weight**2  # variance of smooth noise of uniform values
    return np.asarray(total / np.float32(np.sqrt(power)))


@dataclass(frozen=True, eq=False)
class Parcels:
    """A patchwork of zones of one direction each, cut into strips, cut into parcels.

    Args:
        kind_HW: int64 in [0, 65536), of the parcel that a cell lies in; `draw` makes its traits.
        zone_HW: int64 in [0, 65536), of the zone.
        u_HW, v_HW: place in the parcel along and across its strip, in metres from its corner.
        length_HW, breadth_HW: of the parcel, in metres.
        border_HW: distance from the border of the zone, in metres.
        key: seeds its traits.
    """

    kind_HW: Array
    zone_HW: Array
    u_HW: Floats
    v_HW: Floats
    length_HW: Floats
    breadth_HW: Floats
    border_HW: Floats
    key: int

    def draw(self, trait: int) -> Floats:
        """A uniform number in [0, 1) for every parcel, by trait: float32 [H, W]."""
        return _table(self.key, 2 * trait)[self.kind_HW]

    def draw_zone(self, trait: int) -> Floats:
        """A uniform number in [0, 1) for every zone, by trait: float32 [H, W]."""
        return _table(self.key, 2 * trait + 1)[self.zone_HW]

    @property
    def gap(self) -> Floats:
        """Distance from the border of the parcel, in metres."""
        inside = np.minimum(
            np.minimum(self.u_HW, self.length_HW - self.u_HW),
            np.minimum(self.v_HW, self.breadth_HW - self.v_HW),
        )
        return np.minimum(inside, self.border_HW)


def parcels(
    grid: Grid, key: int, *, zone: float, strip: float, length: float, wander: float = 0.0
) -> Parcels:
    """A patchwork that depends on place and key alone.

    Args:
        zone, strip, length: typical size of zones, breadth of strips, length of parcels (m).
        wander: how far borders stray from straight lines (m).
    """
    x, y = grid.xy
    if wander:
        x = x + np.float32(wander) * fractal(grid, 160.0, 2, key + 1)
        y = y + np.float32(wander) * fractal(grid, 160.0, 2, key + 2)
    zone_HW, border_HW = _zones(x, y, zone, key)
    angle = np.float32(np.pi) * _table(key, 1)[zone_HW]
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    breadth = np.float32(strip) * (0.6 + 0.9 * _table(key, 3)[zone_HW])
    row = np.floor(v / breadth).astype(np.int64)
    strip_HW = _mixed(zone_HW, row, 11)
    long = np.float32(length) * (0.6 + 0.9 * _table(key, 5)[strip_HW])
    u = u + long * _table(key, 7)[strip_HW]
    place = np.floor(u / long).astype(np.int64)
    return Parcels(
        kind_HW=_mixed(strip_HW, place, 13),
        zone_HW=zone_HW,
        u_HW=u - place.astype(np.float32) * long,
        v_HW=v - row.astype(np.float32) * breadth,
        length_HW=long,
        breadth_HW=breadth,
        border_HW=border_HW,
        key=key,
    )


def _zones(x: Floats, y: Floats, size: float, key: int) -> tuple[Array, Floats]:
    """Number of the nearest of a jittered lattice's sites, and distance from its cell's border."""
    i, j = (np.floor(c / size).astype(np.int64) for c in (x, y))
    low_i, low_j = int(i.min()) - 1, int(j.min()) - 1
    columns = np.arange(low_i, int(i.max()) + 2)
    rows = np.arange(low_j, int(j.max()) + 2)
    jitter_x, jitter_y = (
        lattice_reference(columns[None, :], rows[:, None], key + n) for n in (31, 32)
    )
    sites = np.stack([columns + 0.1 + 0.8 * jitter_x, (rows[:, None] + 0.1 + 0.8 * jitter_y)], -1)
    sites = (sites * size).astype(np.float32).reshape(-1, 2)
    numbers = (lattice_reference(columns[None, :], rows[:, None], key + 33) * _KINDS).astype(int)
    base = (j - low_j) * len(columns) + (i - low_i)
    best = np.full(x.shape, np.inf, np.float32)
    second, nearest, other = best.copy(), base.copy(), base.copy()
    for step_j in (-1, 0, 1):
        for step_i in (-1, 0, 1):
            site = base + step_j * len(columns) + step_i
            distance = np.square(sites[site, 0] - x) + np.square(sites[site, 1] - y)
            closer, between = distance < best, distance < second
            second = np.where(closer, best, np.where(between, distance, second))
            other = np.where(closer, nearest, np.where(between, site, other))
            best = np.where(closer, distance, best)
            nearest = np.where(closer, site, nearest)
    apart = np.hypot(*(sites[nearest] - sites[other]).transpose(2, 0, 1))
    return numbers.reshape(-1)[nearest], (second - best) / (2 * np.maximum(apart, 1e-3))


def _mixed(first: Array, second: Array, salt: int) -> Array:
    return np.asarray((lattice_reference(first, second, salt) * _KINDS).astype(np.int64))


def _table(key: int, trait: int) -> Floats:
    return np.asarray(lattice_reference(np.arange(_KINDS), trait, key), np.float32)
