"""What lies where in a region: water, woods, fields, roads and settlements, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sensorfusion.simulation.above.grid import Array, Floats, Grid, Parcels, fractal, noise, parcels
from sensorfusion.simulation.above.materials import NUMBER
from sensorfusion.simulation.above.settlement import build_up, pave_streets
from sensorfusion.simulation.above.terrain import (
    Site,
    ground_height,
    river_distance,
    slope_of,
    town_distance,
)

CROPS = ("cereal", "cereal", "ripe", "maize", "rape", "soil", "stubble")


@dataclass(eq=False)
class Land:
    """Cells of a region.

    Args:
        material_HW: int64, numbers of `materials.NAMES`.
        plain_HW: the same before single trees, buildings and hedges: what a map would say.
        ground_HW: bare ground above the river (m). object_HW: what stands on it (m).
        fields, stands, blocks: patchworks of farmland, of forestry, and of built-up blocks.
        bank_HW: distance from the river (m). urban_HW: how built-up; above `TOWN` it is town.
        farmed_HW, wooded_HW: where fields and woods are.
    """

    material_HW: Array
    plain_HW: Array
    ground_HW: Floats
    object_HW: Floats
    fields: Parcels
    stands: Parcels
    blocks: Parcels
    bank_HW: Floats
    urban_HW: Floats
    farmed_HW: Array
    wooded_HW: Array

    def cover(self, where_HW: Array, name: str, height: Floats | float = 0.0) -> None:
        """Put a material on cells."""
        self.material_HW[where_HW] = NUMBER[name]
        self.object_HW[where_HW] = height[where_HW] if isinstance(height, np.ndarray) else height


TOWN = 0.5  # of urban_HW


def make_land(grid: Grid, site: Site) -> Land:
    """The land at the first date."""
    bank = river_distance(grid, site)
    ground = ground_height(grid, site, bank)
    shape = ground.shape
    land = Land(
        material_HW=np.zeros(shape, np.int64),
        plain_HW=np.zeros(shape, np.int64),
        ground_HW=ground,
        object_HW=np.zeros(shape, np.float32),
        fields=parcels(grid, site.key + 100, zone=430.0, strip=75.0, length=190.0, wander=5.0),
        stands=parcels(grid, site.key + 200, zone=380.0, strip=120.0, length=170.0, wander=18.0),
        blocks=parcels(grid, site.key + 300, zone=330.0, strip=82.0, length=120.0),
        bank_HW=bank,
        urban_HW=_urban(grid, site),
        farmed_HW=np.zeros(shape, np.bool_),
        wooded_HW=np.zeros(shape, np.bool_),
    )
    _farm(site, land)
    _scrub(grid, site, land)
    _woods(grid, site, land)
    _quarries(land)
    town = (land.urban_HW > TOWN) & (bank > 12.0)
    land.farmed_HW &= ~town
    land.wooded_HW &= ~town
    _banks(grid, site, land)
    land.plain_HW[:] = land.material_HW
    land.plain_HW[town] = NUMBER["red_roof"]
    _hedges(grid, land)
    build_up(grid, site, land, town)
    _roads(grid, site, land)
    return land


def _urban(grid: Grid, site: Site) -> Floats:
    """Town and villages: 1 in their middles."""
    score = 1.15 * np.exp(-((town_distance(grid, site) / site.spread) ** 2))
    villages = parcels(grid, site.key + 400, zone=900.0, strip=1e5, length=1e5)
    inner = villages.border_HW / (70.0 + 220.0 * villages.draw_zone(1))
    score = np.maximum(
        score, np.where(villages.draw_zone(0) < 0.35, 0.45 * inner, 0.0).clip(0, 0.9)
    )
    return np.asarray(score + 0.11 * fractal(grid, 260.0, 3, site.key + 3), np.float32)


def _farm(site: Site, land: Land) -> None:
    """Fields and meadows."""
    fields = land.fields
    kind = fields.draw(1)
    crop = (kind * len(CROPS)).astype(int)
    land.material_HW[:] = np.array([NUMBER[name] for name in CROPS])[crop]
    share = site.pasture * np.where(fields.draw_zone(0) < 0.4, 1.7, 0.6)
    meadow = fields.draw(2) < share
    land.material_HW[meadow] = NUMBER["grass"]
    land.material_HW[meadow & (fields.draw(3) < 0.35)] = NUMBER["dry_grass"]
    land.object_HW[~meadow] = np.array([0.7, 0.7, 0.8, 2.0, 1.3, 0.0, 0.1])[crop[~meadow]]
    land.farmed_HW[:] = True


def _scrub(grid: Grid, site: Site, land: Land) -> None:
    """Abandoned parcels, where bushes stand in grass, and bare earth."""
    scrub = land.fields.draw(4) < 0.09
    land.cover(scrub, "dry_grass")
    bushes = scrub & (noise(grid, 9.0, site.key + 5) + 0.25 * land.fields.draw(5) > 0.5)
    land.cover(bushes, "shrub", 1.8)
    earth = (land.fields.draw(4) > 0.975) & (land.fields.draw(6) < 0.7)
    land.cover(earth, "earth")
    land.farmed_HW &= ~(scrub | earth)


def _woods(grid: Grid, site: Site, land: Land) -> None:
    """Woods on slopes and heights, with stands of one kind and clearings."""
    east, north = slope_of(land.ground_HW, grid.cell)
    steep = np.hypot(east, north)
    wish = fractal(grid, 620.0, 5, site.key + 6, 0.5) + 2.5 * (steep - 0.12)
    wish = wish + 0.5 * (site.woods - 0.45) * 4.0
    wooded = (wish > 0.0) & (land.urban_HW < TOWN + 0.1)
    copse = (land.fields.draw(7) < 0.05) & (land.fields.draw(4) >= 0.09)
    wooded |= copse & (land.urban_HW < TOWN)
    crown = fractal(grid, 11.0, 2, site.key + 7)
    stands = land.stands
    tall = (7.0 + 17.0 * stands.draw(2)) * (1 + 0.13 * crown)
    conifer = stands.draw(1) + 0.08 * crown < 0.15 + 0.7 * (stands.draw_zone(1) < 0.45)
    land.cover(wooded, "deciduous", np.maximum(tall, 2.0).astype(np.float32))
    land.material_HW[wooded & conifer] = NUMBER["conifer"]
    young = wooded & (stands.draw(3) < 0.06)
    land.cover(young, "shrub", 1.5)
    rides = wooded & (stands.gap < 2.6) & (stands.draw_zone(2) < 0.5)
    land.cover(rides, "dry_grass")
    rock = wooded & (steep + 0.05 * crown > 0.62)
    land.cover(rock, "rock")
    land.farmed_HW &= ~wooded
    land.wooded_HW[:] = wooded & ~young


def _quarries(land: Land) -> None:
    """A few pits of gravel and rock."""
    pit = (land.fields.draw_zone(3) < 0.05) & (land.fields.border_HW > 40.0)
    pit &= (land.urban_HW < TOWN - 0.2) & ~land.wooded_HW
    land.cover(pit, "gravel")
    land.cover(pit & (land.fields.draw(8) < 0.35), "rock")
    land.cover(pit & (land.fields.border_HW > 90.0) & (land.fields.draw(8) > 0.8), "turbid")
    land.farmed_HW &= ~pit


def _banks(grid: Grid, site: Site, land: Land) -> None:
    """The river, ponds, gravel banks, reeds and mud."""
    bank, wobble = land.bank_HW, 22.0 * fractal(grid, 90.0, 3, site.key + 8)
    low = fractal(grid, 480.0, 3, site.key + 9)
    pond_depth = low - 1.75 - 0.5 * (land.urban_HW > TOWN)
    marsh = (bank + wobble < 55.0) & (low > 0.1)
    marsh |= (pond_depth > -0.22) & ~(land.urban_HW > TOWN)
    reeds = fractal(grid, 30.0, 3, site.key + 10)
    land.cover(marsh, "reed", 1.2)
    land.material_HW[marsh & (reeds > 0.55)] = NUMBER["mud"]
    land.cover(marsh & (reeds < -1.3), "water")
    trees = (bank > 3) & (bank + 0.5 * wobble < 16.0) & (low <= 0.1) & (reeds > -0.3)
    land.cover(trees, "deciduous", 9.0)
    gravel = (bank > -8) & (bank + 0.25 * wobble < 3.0) & (reeds < -0.6)
    water = ((bank < 0.0) | (pond_depth > 0.0)) & ~gravel
    land.cover(water, "water")
    land.cover(gravel, "gravel")
    flooded = marsh | water | gravel | trees
    land.farmed_HW &= ~flooded
    land.wooded_HW &= ~(water | gravel)
    land.ground_HW[pond_depth > 0.0] -= 0.6


def _hedges(grid: Grid, land: Land) -> None:
    """Tracks and hedges between parcels, single trees."""
    fields = land.fields
    lone = (noise(grid, 7.0, 71 + fields.key) > 0.93) & (fields.draw_zone(4) < 0.5)
    hedge = (fields.gap < 3.6) & (fields.draw_zone(5) < 0.4)
    hedge &= noise(grid, 25.0, 72 + fields.key) > 0.3
    track = (fields.border_HW < 2.4) & (fields.draw_zone(6) < 0.7)
    land.cover(land.farmed_HW & lone & ~(fields.gap > 12.0), "deciduous", 7.0)
    land.cover(land.farmed_HW & hedge, "shrub", 3.0)
    land.cover(land.farmed_HW & track, "gravel")


def _roads(grid: Grid, site: Site, land: Land) -> None:
    """Roads across the country, bridges included."""
    net = parcels(grid, site.key + 500, zone=1000.0, strip=1e5, length=1e5, wander=14.0)
    road = net.border_HW < 4.4
    verge = (net.border_HW < 9.0) & ~road & (land.bank_HW > 4.0)
    land.cover(verge & (land.farmed_HW | land.wooded_HW), "grass")
    pave_streets(land, road)
    bridge = road & (land.bank_HW < 0.0)
    land.object_HW[bridge] = 4.0
