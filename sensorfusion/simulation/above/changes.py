"""What happens on the land between two dates."""

from __future__ import annotations

import copy

import numpy as np

from sensorfusion.simulation.above import materials
from sensorfusion.simulation.above.grid import Array, Grid, fractal
from sensorfusion.simulation.above.land import TOWN, Land
from sensorfusion.simulation.above.materials import NUMBER
from sensorfusion.simulation.above.settlement import build_up
from sensorfusion.simulation.above.terrain import Site

EDGE = 0.32  # of the belt around towns, in `Land.urban_HW`, in which new quarters are built


def change_land(grid: Grid, site: Site, land: Land) -> tuple[Land, Array]:
    """The land at the second date, and the kind of change of every cell: uint8 [H, W]."""
    generator = np.random.default_rng([site.key, 21])
    later = copy.copy(land)
    for name in ("material_HW", "object_HW", "farmed_HW", "wooded_HW"):
        setattr(later, name, getattr(land, name).copy())
    change = np.zeros(land.material_HW.shape, np.uint8)
    _harvest(later, change, generator.uniform(0.15, 0.5))
    _fell(grid, site, later, change, generator.uniform(0.03, 0.14))
    _build(grid, site, later, change, generator.uniform(0.15, 0.6))
    if generator.random() < 0.55:
        _flood(grid, site, later, change, generator.uniform(1.2, 4.0))
    return later, change


def _harvest(land: Land, change: Array, share: float) -> None:
    """Standing crops of some fields are cut, some ploughed as well."""
    crops = np.isin(land.material_HW, [NUMBER[n] for n in ("cereal", "ripe", "rape", "maize")])
    cut = land.farmed_HW & crops & (land.fields.draw(20) < share)
    ploughed = land.fields.draw(21) < 0.3
    land.cover(cut & ~ploughed, "stubble", 0.1)
    land.cover(cut & ploughed, "soil")
    change[cut] = materials.HARVEST


def _fell(grid: Grid, site: Site, land: Land, change: Array, share: float) -> None:
    """Stands are clear-cut; a few trees stay."""
    left = fractal(grid, 12.0, 2, site.key + 31) > 1.9
    trees = np.isin(land.material_HW, (NUMBER["deciduous"], NUMBER["conifer"]))
    felled = land.wooded_HW & trees & (land.stands.draw(20) < share) & ~left
    land.cover(felled, "cleared", 0.2)
    land.wooded_HW &= ~felled
    change[felled] = materials.CLEAR_CUT


def _build(grid: Grid, site: Site, land: Land, change: Array, share: float) -> None:
    """Fields at the edge of towns become quarters."""
    belt = (land.urban_HW > EDGE) & (land.urban_HW < TOWN + 0.1) & (land.bank_HW > 30.0)
    new = belt & land.farmed_HW & (land.fields.draw(22) < share)
    site_work = new & (land.fields.draw(23) < 0.25)
    build_up(grid, site, land, new & ~site_work)
    land.cover(site_work, "earth")
    land.farmed_HW &= ~new
    change[new] = materials.NEW_BUILDING


def _flood(grid: Grid, site: Site, land: Land, change: Array, level: float) -> None:
    """The river rises and covers what is low and near; trees and buildings stand out."""
    reach = land.bank_HW + 30.0 * fractal(grid, 120.0, 3, site.key + 32) < 60.0 * level
    low = (land.ground_HW < level) & reach & (land.object_HW < 3.0)
    dry = materials.LABEL_M[land.material_HW] != materials.WATER
    wet = low & dry & (land.bank_HW > 0.0) & (land.bank_HW < 1e4)
    land.cover(wet, "turbid")
    land.farmed_HW &= ~wet
    change[wet] = materials.FLOOD
