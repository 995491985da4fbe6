"""Cells of a window of the world, and noise, zones and parcels on them that depend on place alone.

World axes: x east, y north, metres. Rows run south. Shape letters: H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sensorfusion.compiled import inlined
from sensorfusion.geometry.rasters import north_up
from sensorfusion.simulation.noise import lattice_reference

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
KINDS = 16384  # of parcels: what two of one kind share is chance


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
        kind_HW: int64 in [0, 16384), of the parcel that a cell lies in; `draw` makes its traits.
        zone_HW: int64 in [0, 16384), of the zone.
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
    ends = [int(np.floor(edge / size)) for edge in (x.min(), x.max(), y.min(), y.max())]
    columns = np.arange(ends[0] - 1, ends[1] + 2)
    rows = np.arange(ends[2] - 1, ends[3] + 2)
    jitter_x, jitter_y, number = (
        lattice_reference(columns[None, :], rows[:, None], key + n) for n in (31, 32, 33)
    )
    sites = np.stack([columns + 0.1 + 0.8 * jitter_x, rows[:, None] + 0.1 + 0.8 * jitter_y], -1)
    sites_JI2 = (sites * size).astype(np.float32)
    corner = np.array([columns[0], rows[0], size], np.float32)
    nearest_HW, border_HW = nearest_sites(x, y, sites_JI2, corner)
    return (number * KINDS).astype(np.int64).ravel()[nearest_HW], border_HW


def nearest_sites(
    x_HW: Floats, y_HW: Floats, sites_JI2: Floats, corner_3: Floats
) -> tuple[npt.NDArray[np.int64], Floats]:
    """The nearest site of each cell, and the distance from the border with the second nearest.

    Args:
        sites_JI2: one in each square of a lattice, in its middle eight tenths.
        corner_3: column and row of the lattice's first square, and the squares' size (m).
    """
    nearest = np.empty(x_HW.shape, np.int64)
    border = np.empty(x_HW.shape, np.float32)
    _find(x_HW, y_HW, sites_JI2, corner_3, nearest, border)
    return nearest, border


@inlined
def _find(
    x: Floats, y: Floats, sites: Floats, corner: Floats, nearest: Array, border: Floats
) -> None:
    columns, size = sites.shape[1], corner[2]
    for row in range(x.shape[0]):
        for column in range(x.shape[1]):
            i = int(np.floor(x[row, column] / size) - corner[0])
            j = int(np.floor(y[row, column] / size) - corner[1])
            best, second = np.float32(np.inf), np.float32(np.inf)
            first, other = 0, 0
            for n in range(9):
                near_j, near_i = j + n // 3 - 1, i + n % 3 - 1
                east = sites[near_j, near_i, 0] - x[row, column]
                north = sites[near_j, near_i, 1] - y[row, column]
                square = east * east + north * north
                if square < best:
                    second, other = best, first
                    best, first = square, near_j * columns + near_i
                elif square < second:
                    second, other = square, near_j * columns + near_i
            east = sites[first // columns, first % columns, 0]
            east -= sites[other // columns, other % columns, 0]
            north = sites[first // columns, first % columns, 1]
            north -= sites[other // columns, other % columns, 1]
            nearest[row, column] = first
            border[row, column] = (second - best) / (2 * np.sqrt(east * east + north * north))


def nearest_sites_reference(
    x_HW: Floats, y_HW: Floats, sites_JI2: Floats
) -> tuple[npt.NDArray[np.int64], Floats]:
    """`nearest_sites` by comparing with every site."""
    sites_S2 = sites_JI2.reshape(-1, 2)
    away_HWS = np.hypot(x_HW[..., None] - sites_S2[:, 0], y_HW[..., None] - sites_S2[:, 1])
    order = np.argsort(away_HWS, axis=-1)[..., :2]
    near, far = np.take_along_axis(away_HWS, order, -1).transpose(2, 0, 1)
    apart = np.hypot(*(sites_S2[order[..., 0]] - sites_S2[order[..., 1]]).transpose(2, 0, 1))
    return order[..., 0], (far**2 - near**2) / (2 * apart)


def _mixed(first: Array, second: Array, salt: int) -> Array:
    return np.asarray((lattice_reference(first, second, salt) * KINDS).astype(np.int64))


def _table(key: int, trait: int) -> Floats:
    return np.asarray(lattice_reference(np.arange(KINDS), trait, key), np.float32)
