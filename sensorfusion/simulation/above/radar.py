"""What an imaging radar like Sentinel-1's sees: VV and VH backscatter (GRD, terrain-corrected).

The radar looks along rows, east or west, from so far away that its rays are parallel. Range lines
are rows: a facet at ground range x and height h lies at slant range s = x sin t - h cos t, for an
incidence t. All facets of one s answer together (layover, foreshortening); facets behind
something nearer and higher do not answer (shadow). The image is then brought back to the map by
the height of the *bare* ground, as a terrain model gives it: what stands on it stays displaced
towards the radar.

Shape letters: B bands, H rows and W columns of pixels; fine arrays have `factor` cells per side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from sensorfusion.sensors.raster import Quality
from sensorfusion.simulation.above.grid import Array, Floats, Grid, fractal
from sensorfusion.simulation.above.land import Land
from sensorfusion.simulation.above.materials import BACKSCATTER_MB, LABEL_M, NUMBER, WATER
from sensorfusion.simulation.above.optical import averaged
from sensorfusion.simulation.above.terrain import Site, slope_of

LOOKS = 4.4  # equivalent number of Sentinel-1's interferometric wide swath
RESOLUTION = 0.75  # deviation of the answer of a point, in pixels: 18 m at half its power
NOISE_FLOOR = 10 ** (-2.9)  # power that the receiver's noise adds
WALL = (1.6, 0.09)  # power of the corner between a wall and the street, VV and VH


@dataclass(frozen=True)
class Orbit:
    """How a radar looks.

    Args:
        eastward: whether it looks east (an ascending pass), else west.
        incidence: of level ground (radians).
    """

    eastward: bool
    incidence: float


def draw_orbit(site: Site) -> Orbit:
    """The orbit of a region, the same at both dates."""
    draw = np.random.default_rng([site.key, 24]).uniform
    return Orbit(bool(draw() < 0.5), math.radians(draw(31.0, 44.0)))


def measure(
    grid: Grid, site: Site, land: Land, orbit: Orbit, date: int, factor: int
) -> tuple[Floats, Array]:
    """Backscatter in dB [B, H, W] and quality [H, W] of a window.

    Args:
        grid: of the pixels. land: in cells `factor` times smaller.
    """
    cell = grid.cell / factor
    turn = 1 if orbit.eastward else -1
    ground, top = (a[:, ::turn] for a in (land.ground_HW, land.ground_HW + land.object_HW))
    lines = trace(ground, top, cell, orbit.incidence)
    generator = np.random.default_rng([site.key, 25, date])
    image = np.empty((2, grid.height, grid.width), np.float32)
    for b, answer in enumerate(scattered(grid.refined(factor), site, land, orbit, date)):
        power = averaged(lines.imaged(answer[:, ::turn])[:, ::turn], factor)
        seen = gaussian_filter(power, RESOLUTION, mode="nearest") + NOISE_FLOOR
        speckle = generator.gamma(LOOKS, 1.0 / LOOKS, seen.shape)
        image[b] = 10.0 * np.log10(seen * speckle)
    quality = np.zeros(image.shape[1:], np.uint8)
    quality[averaged(lines.overlaid[:, ::turn], factor) > 0.5] = Quality.LAYOVER
    quality[averaged(lines.hidden[:, ::turn], factor) > 0.5] = Quality.RADAR_SHADOW
    return image, quality


@dataclass(frozen=True, eq=False)
class RangeLines:
    """Where facets of rows lie in slant range; the radar is to the left.

    Args:
        bin_HW: fractional bin of every facet; a bin is as wide as a level cell.
        map_HW: fractional bin of the bare ground of every cell.
        hidden: bool [H, W], facets in shadow. overlaid: cells whose bin holds other facets too.
        bins: number of bins.
    """

    bin_HW: Floats
    map_HW: Floats
    hidden: Array
    overlaid: Array
    bins: int

    def imaged(self, power_HW: Floats) -> Floats:
        """The power of facets, as the map shows it: [H, W]."""
        answer = np.where(self.hidden, 0.0, power_HW)
        return _at(_gathered(self.bin_HW, answer, self.bins), self.map_HW)


def trace(ground_HW: Floats, top_HW: Floats, cell: float, incidence: float) -> RangeLines:
    """The geometry of rows that the radar sees from the left.

    Args:
        ground_HW: height of the bare ground. top_HW: of what answers (m).
    """
    x_W = (np.arange(ground_HW.shape[1]) * cell).astype(np.float32)
    sine, cosine = np.float32(math.sin(incidence)), np.float32(math.cos(incidence))
    width = cell * sine
    slant, base = x_W * sine - top_HW * cosine, x_W * sine - ground_HW * cosine
    first = min(float(slant.min()), float(base.min()))
    bins = int((max(float(slant.max()), float(base.max())) - first) / width) + 3
    bin_HW, map_HW = (slant - first) / width, (base - first) / width
    across = x_W * cosine + top_HW * sine  # equal along a ray: what is behind is below
    above = np.maximum.accumulate(across, axis=1)
    hidden = np.zeros(across.shape, np.bool_)
    hidden[:, 1:] = across[:, 1:] < above[:, :-1] - 1e-3
    facets = _gathered(bin_HW, np.where(hidden, 0.0, 1.0), bins)
    # A slope that faces the radar fills its bins; two surfaces in one bin are layover.
    turned = np.zeros(across.shape, np.bool_)
    turned[:, 1:] = np.diff(bin_HW, axis=1) < 0.0
    spread = _gathered(bin_HW, turned.astype(np.float32), bins)
    overlaid = (_at(facets, map_HW) > 1.9) & (_at(spread, map_HW) > 0.0) & ~hidden
    return RangeLines(bin_HW, map_HW, hidden, overlaid, bins)


def _gathered(bin_HW: Floats, values_HW: Floats, bins: int) -> Floats:
    """Sums of values in the bins of each row, shared linearly between two bins: [H, bins]."""
    below = bin_HW.astype(np.int64)
    part = bin_HW - below
    row = np.arange(len(bin_HW))[:, None] * bins
    size = len(bin_HW) * bins
    total = np.bincount((row + below).ravel(), ((1 - part) * values_HW).ravel(), size)
    total += np.bincount((row + below + 1).ravel(), (part * values_HW).ravel(), size)
    return np.asarray(total.reshape(len(bin_HW), bins), np.float32)


def _at(lines: Floats, bin_HW: Floats) -> Floats:
    """Values of bins by linear interpolation: [H, W]."""
    below = bin_HW.astype(np.int64)
    part = bin_HW - below
    row = np.arange(len(lines))[:, None]
    return np.asarray(lines[row, below] * (1 - part) + lines[row, below + 1] * part, np.float32)


def scattered(grid: Grid, site: Site, land: Land, orbit: Orbit, date: int) -> list[Floats]:
    """Power that each cell's facet sends back, VV and VH: two [H, W]."""
    fields, stands = land.fields, land.stands
    patch = fractal(grid, 110.0, 4, site.key + 800, 0.6)
    own = np.where(land.wooded_HW, stands.draw(40), fields.draw(40)) - 0.5
    moisture = np.where(land.farmed_HW, fields.draw(41 + date) - 0.5, 0.0)
    texture = fractal(grid, 6.0, 1, site.key + 801)
    water = LABEL_M[land.material_HW] == WATER
    wind = np.random.default_rng([site.key, 26, date]).uniform(-3.0, 5.0)
    gain = 3.0 * own + 3.2 * moisture + 0.5 * patch + 0.9 * texture
    gain = np.where(water, wind + 0.5 * patch, gain)
    facing = _facing(land, grid.cell, orbit)
    corner = _corners(land, orbit) * (0.25 + 1.5 * land.blocks.draw(40) ** 2)
    answers = []
    for b in (0, 1):
        own_power = 10.0 ** ((BACKSCATTER_MB[land.material_HW, b] + gain) / 10.0)
        answers.append(np.asarray(own_power * facing + WALL[b] * corner, np.float32))
    return answers


def _facing(land: Land, cell: float, orbit: Orbit) -> Floats:
    """How much stronger ground answers that is turned towards the radar.

    A rough surface's backscatter goes with the square of the cosine of the local incidence; that
    facets of slopes are longer is `_gathered`'s matter.
    """
    east, north = slope_of(land.ground_HW, cell)
    toward = -east if orbit.eastward else east
    local = (math.cos(orbit.incidence) - math.sin(orbit.incidence) * toward) / np.sqrt(
        1 + east**2 + north**2
    )
    return np.asarray((np.maximum(local, 0.05) / math.cos(orbit.incidence)) ** 2, np.float32)


def _corners(land: Land, orbit: Orbit) -> Floats:
    """1 at the feet of walls that face the radar: [H, W]."""
    names = ("red_roof", "grey_roof", "dark_roof", "metal_roof")
    tall = np.isin(land.material_HW, [NUMBER[name] for name in names]) & (land.object_HW > 2.5)
    wall = np.zeros(tall.shape, np.float32)
    if orbit.eastward:
        wall[:, :-1] = tall[:, 1:] & ~tall[:, :-1]
    else:
        wall[:, 1:] = tall[:, :-1] & ~tall[:, 1:]
    return wall
