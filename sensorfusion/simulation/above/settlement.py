"""Towns and villages: streets, lots, buildings, gardens; the simulated town itself in its place."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sensorfusion.simulation.above.grid import KINDS, Array, Floats, Grid, Parcels, noise
from sensorfusion.simulation.above.materials import NUMBER

if TYPE_CHECKING:
    from sensorfusion.simulation.above.land import Land
    from sensorfusion.simulation.above.terrain import Site

HALF_STREET = 4.2


def build_up(grid: Grid, site: Site, land: Land, where_HW: Array) -> None:
    """Cover cells with streets, buildings and gardens.

    A block is of one kind: houses with gardens, rows of flats, halls of industry, a park.
    """
    blocks = land.blocks
    kind = blocks.draw(1)
    dense = land.urban_HW > 0.85
    industry = where_HW & (blocks.draw_zone(1) < 0.2) & (kind < 0.85)
    park = where_HW & ~industry & (kind > 0.93)
    flats = where_HW & ~industry & ~park & (kind < np.where(dense, 0.6, 0.12))
    houses = where_HW & ~industry & ~park & ~flats
    _gardens(grid, site, land, houses | flats | park, park)
    land.cover(industry, "paving")
    land.cover(industry & (blocks.draw(2) < 0.5), "asphalt")
    _buildings(land, houses, lot=19.0, share=(0.55, 0.5), storeys=(2.0, 2.0), roofs=_HOUSES)
    _buildings(land, flats, lot=44.0, share=(0.75, 0.36), storeys=(3.0, 6.0), roofs=_FLATS)
    _buildings(land, industry, lot=72.0, share=(0.8, 0.7), storeys=(2.0, 2.0), roofs=_HALLS)
    pave_streets(land, where_HW & (blocks.gap < HALF_STREET))


_HOUSES = ("red_roof", "red_roof", "red_roof", "dark_roof", "grey_roof")
_FLATS = ("grey_roof", "dark_roof", "red_roof", "paving")
_HALLS = ("metal_roof", "grey_roof", "metal_roof", "dark_roof", "grey_roof")


def pave_streets(land: Land, where_HW: Array) -> None:
    """Asphalt on cells."""
    land.cover(where_HW, "asphalt")
    land.farmed_HW &= ~where_HW
    land.wooded_HW &= ~where_HW


def _gardens(grid: Grid, site: Site, land: Land, where_HW: Array, park_HW: Array) -> None:
    small = noise(grid, 6.5, site.key + 21)
    leafy = 0.62 + 0.25 * land.blocks.draw(3)
    land.cover(where_HW, "grass")
    land.material_HW[where_HW & (land.blocks.draw(4) < 0.3)] = NUMBER["dry_grass"]
    land.cover(where_HW & ~park_HW & (small < 0.38), "paving")
    land.cover(where_HW & (small > np.where(park_HW, 0.55, leafy)), "deciduous", 8.0)


def _buildings(
    land: Land,
    where_HW: Array,
    *,
    lot: float,
    share: tuple[float, float],
    storeys: tuple[float, float],
    roofs: tuple[str, ...],
) -> None:
    """One building on each lot of the blocks.

    Args:
        lot: side of a lot (m). share: of its sides that the building takes.
        storeys: least number, and how many more there may be.
    """
    blocks = land.blocks
    u, v, lots = _lots(blocks, lot)
    long, deep = (share[k] * (0.75 + 0.5 * lots.draw(10 + k)) / 2 for k in (0, 1))
    inside = where_HW & (np.abs(u - 0.5) < long) & (np.abs(v - 0.5) < deep)
    inside &= (lots.draw(12) < 0.88) & (blocks.gap > HALF_STREET + 1.5)
    height = 3.1 * np.floor(storeys[0] + storeys[1] * lots.draw(13)) + 1.0
    roof = np.array([NUMBER[name] for name in roofs])[(lots.draw(14) * len(roofs)).astype(int)]
    land.material_HW[inside] = roof[inside]
    land.object_HW[inside] = height[inside]


def _lots(blocks: Parcels, size: float) -> tuple[Floats, Floats, Parcels]:
    """Place in a lot, 0 to 1 along both sides, and the lots as parcels."""
    across = np.maximum(np.rint(blocks.breadth_HW / (1.3 * size)), 1.0)
    along = np.maximum(np.rint(blocks.length_HW / size), 1.0)
    u, v = blocks.u_HW / blocks.length_HW * along, blocks.v_HW / blocks.breadth_HW * across
    i, j = (np.floor(c).astype(np.int64) for c in (u, v))
    kind = (blocks.kind_HW * 40503 + i * 9973 + j * 31013) % KINDS
    return u - i, v - j, replace(blocks, kind_HW=kind)
