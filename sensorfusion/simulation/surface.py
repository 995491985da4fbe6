"""Colours of surfaces: procedural textures that are fixed to the objects, in linear RGB.

Patterns fade into their mean where a pixel covers more than a period, as through a lens.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from sensorfusion.compiled import borrowing
from sensorfusion.simulation.ground import ASPHALT, GRASS, PAINT, PAVING
from sensorfusion.simulation.noise import lattice, noise, plane_noise

Array = npt.NDArray[Any]
RGB = tuple[float, float, float]


@borrowing
def fade(footprint: float, period: float) -> float:
    """1 where a pattern of this period is resolved, 0 where a pixel is wider than it."""
    return min(max(1.5 - 2.0 * footprint / period, 0.0), 1.0)


@borrowing
def surface_colour(
    look: Array,
    p: int,
    ox: float,
    oy: float,
    oz: float,
    gx: float,
    gy: float,
    gz: float,
    footprint: float,
) -> tuple[float, float, float, float]:
    """Albedo and gloss of shape p at a point (unit shape's coordinates) with a unit normal."""
    x, y, z = ox * look[p, 9], oy * look[p, 10], oz * look[p, 11]
    texture = int(look[p, 6])
    gloss = look[p, 7]
    mix, shade = 0.0, 1.0
    if texture == 1 or texture == 2 or texture == 12:
        mix, shade, gloss = _facade(texture, p, x, y, z + look[p, 11], gx, gy, gz, gloss, footprint)
        if mix < 0.0:  # window glass
            return 0.03 * shade, 0.035 * shade, 0.045 * shade, gloss
    elif texture == 3:
        mix = noise(1.1 * x + p, 1.1 * y, 1.1 * z)
        fine = fade(footprint, 0.35)
        shade = 0.55 + 0.9 * noise(5.0 * x + p, 5.0 * y, 5.0 * z) * fine + 0.45 * (1.0 - fine)
    elif texture == 4 or texture == 15 or texture == 8:
        mix = 0.5 * noise(2.0 * x + p, 2.0 * y, 0.6 * z) if texture == 4 else 0.0
        shade = 0.7 + 0.6 * noise(4.0 * x + p, 4.0 * y, (2.0 if texture == 4 else 5.0) * z)
    elif texture == 5:
        mix, shade = _bodywork(x, z, oz, gy, look[p, 9])
    elif texture == 6:
        mix, gloss = _cabin(ox, oy, oz, gx, gy, gz, gloss)
    elif texture == 7:
        mix = 1.0 if ox * ox + oy * oy < 0.42 else 0.0
        if mix == 1.0 and (math.atan2(oy, ox) * 5.0 / math.pi) % 2.0 < 0.6:
            mix = 0.3
    elif texture == 9:
        mix = 1.0 if (1.2 * z + 1.2 * x + 100.0) % 0.5 < 0.22 else 0.0
    elif texture == 11:
        along = x if abs(gy) > abs(gx) else y
        shade = 1.0 - 0.35 * fade(footprint, 0.25) * (1.0 if (along + 50.0) % 0.25 < 0.07 else 0.0)
        mix = 1.0 if abs(oz - 0.1) < 0.16 and abs(ox) < 0.6 else 0.0
    elif texture == 13:
        rows = 1.0 if (z * 3.0 + 90.0) % 1.0 < 0.2 else 0.0
        shade = 0.75 + 0.5 * noise(3 * x + p, 3 * y, 3 * z) - 0.3 * rows * fade(footprint, 0.33)
    elif texture == 14:
        mix = _emblem(p, ox, oy, oz, look[p, 9] < look[p, 10])
    shade *= 0.88 + 0.24 * noise(0.8 * x + 7.0 * p, 0.8 * y, 0.8 * z)
    return (
        shade * (look[p, 0] * (1.0 - mix) + look[p, 3] * mix),
        shade * (look[p, 1] * (1.0 - mix) + look[p, 4] * mix),
        shade * (look[p, 2] * (1.0 - mix) + look[p, 5] * mix),
        gloss,
    )


@borrowing
def _facade(
    texture: int,
    p: int,
    x: float,
    y: float,
    z: float,
    gx: float,
    gy: float,
    gz: float,
    gloss: float,
    footprint: float,
) -> tuple[float, float, float]:
    """Mix, shade and gloss of a wall with windows, `z` metres above its foot; mix -1 is glass."""
    if abs(gz) > 0.9:
        return 1.0, 0.6, 0.0
    along = y if abs(gx) > abs(gy) else x
    level = z - 0.5 if texture != 12 else z
    style = lattice(p, 5, 1)
    wide = 1.7 + 1.9 * style if texture != 12 else 1.5
    high = 3.1 if texture != 12 else max(0.9, 3.1 * style)
    column, row = math.floor(along / wide), math.floor(level / high)
    u, v = along / wide - column, level / high - row
    if level > 0.4:
        left = 0.5 - (0.2 + 0.14 * lattice(p, 5, 2) if texture != 12 else 0.46)
        sill = 0.3 if texture != 12 else 0.08
        head = 0.84 if texture != 12 else 0.94
        if left < u < 1.0 - left and sill < v < head:
            frame = min(min(u - left, 1.0 - left - u) * wide, min(v - sill, head - v) * high)
            cross = abs(u - 0.5) * wide
            if (frame < 0.07 or cross < 0.035) and texture != 12:
                return 0.0, 1.5, 0.0
            lit = lattice(column, row, p)
            if lit < 0.3 and v > sill + 0.5 * (head - sill) * lattice(column, p, row):
                return 1.0, 1.1, 0.05  # blinds
            return -1.0, 1.0 + 2.5 * lit, 0.35
        if texture != 12 and left - 0.04 < u < 1.04 - left and sill - 0.05 < v < sill:
            return 0.0, 1.35, 0.0
    dirt = 0.78 + 0.34 * noise(0.5 * along + p, 0.0, 0.25 * z) + 0.1 * min(z, 1.0)
    if texture == 2:
        course = math.floor(z / 0.14)
        brick = (along + (0.15 if course % 2 else 0.0)) / 0.3
        mortar = z / 0.14 - course < 0.14 or brick - math.floor(brick) < 0.06
        near = fade(footprint, 0.14)
        dirt *= 1.0 + near * (0.3 * lattice(math.floor(brick), course, p) - 0.15)
        if mortar:
            return 0.6 * near, dirt, gloss
    elif v < 0.04:
        dirt *= 0.8
    return 0.0, dirt, 0.0


@borrowing
def _bodywork(x: float, z: float, oz: float, gy: float, half: float) -> tuple[float, float]:
    """Sills, door gaps and wheel arches."""
    if oz < -0.72:
        return 1.0, 1.0
    if abs(gy) > 0.7:
        gap = abs(abs(x - 0.05 * half) - 0.33 * half) < 0.012 or abs(x - 0.05 * half) < 0.012
        if gap and oz > -0.5:
            return 0.0, 0.35
        arch = abs(abs(x) - 0.62 * half)
        if arch < 0.36 and z < 0.12 - 0.9 * arch * arch:
            return 1.0, 1.0
    return 0.0, 1.0


@borrowing
def _cabin(
    ox: float, oy: float, oz: float, gx: float, gy: float, gz: float, gloss: float
) -> tuple[float, float]:
    """Windows between pillars under a roof; mix 1 is glass."""
    if gz > 0.85 or oz > 0.78 or oz < -0.82:
        return 0.0, gloss
    if abs(gy) > abs(gx):
        pillar = abs(ox - 0.05) < 0.06 or abs(ox) > 0.88 - 0.15 * oz
        return (0.0, gloss) if pillar else (1.0, 0.45)
    return (0.0, gloss) if abs(oy) > 0.85 else (1.0, 0.45)


@borrowing
def _emblem(p: int, ox: float, oy: float, oz: float, thin_x: bool) -> float:
    """A rim and a few blocks that look like letters."""
    u = oy if thin_x else ox
    v = oz if abs(oz) < 0.999 else oy
    if abs(u) > 0.85 or abs(v) > 0.85:
        return 1.0
    if abs(v) < 0.45 and lattice(math.floor(6.0 * u), math.floor(4.0 * v), p) < 0.45:
        return 1.0
    return 0.0


@borrowing
def ground_colour(
    tints: Array, made: int, x: float, y: float, kerb: bool, footprint: float
) -> tuple[float, float, float]:
    """Albedo of the ground; `tints` [5, 3] are the scene's colours of what it is made of."""
    large = plane_noise(0.11 * x, 0.11 * y, 3)
    middle = plane_noise(0.7 * x, 0.7 * y, 9)
    fine = plane_noise(6.0 * x, 6.0 * y, 1)
    near = fade(footprint, 0.25)
    shade = 0.72 + 0.3 * large + 0.16 * middle + 0.16 * (fine * near + 0.5 * (1.0 - near))
    if kerb:
        return 0.34 * shade, 0.33 * shade, 0.31 * shade
    if made in (ASPHALT, PAINT):
        patch = lattice(math.floor(x / 9.0), math.floor(y / 3.0), 17)
        if patch < 0.12:
            shade *= 0.75
        crack = abs(plane_noise(0.35 * x, 0.35 * y, 21) - 0.5)
        if crack < 0.006:
            shade *= 0.6
        if made == PAINT:
            worn = 0.35 + 0.65 * min(1.0, 1.8 * plane_noise(3.0 * x, 3.0 * y, 5))
            bare = tints[0, 0] * (1.0 - worn)
            return bare + 0.62 * worn, bare + 0.62 * worn, bare + 0.58 * worn
    elif made == PAVING:
        joint = (x + 500.0) % 0.6 < 0.035 or (y + 500.0) % 0.6 < 0.035
        tile = lattice(math.floor((x + 500.0) / 0.6), math.floor((y + 500.0) / 0.6), 3)
        visible = fade(footprint, 0.6)
        shade *= 1.0 + visible * (0.16 * (tile - 0.5) - (0.35 if joint else 0.0))
    elif made == GRASS:
        clump = plane_noise(2.2 * x, 2.2 * y, 4)
        shade *= 0.55 + 0.9 * clump
        dry = max(0.0, 1.6 * large - 0.7)
        return (
            shade * (tints[made, 0] + 0.1 * dry),
            shade * (tints[made, 1] + 0.05 * dry),
            shade * tints[made, 2],
        )
    else:
        joint = (x + 500.0) % 2.5 < 0.04 or (y + 500.0) % 2.5 < 0.04
        shade *= 1.0 - 0.4 * fade(footprint, 1.0) * (1.0 if joint else 0.0)
    return shade * tints[made, 0], shade * tints[made, 1], shade * tints[made, 2]


@borrowing
def smooth_sky(light: Array, rise: float) -> RGB:
    """Radiance of the sky without clouds, horizon to zenith; `rise` is the ray's z."""
    up = math.sqrt(min(1.0, 1.6 * rise))
    return (
        light[6] + (light[3] - light[6]) * up,
        light[7] + (light[4] - light[7]) * up,
        light[8] + (light[5] - light[8]) * up,
    )


@borrowing
def sky_colour(light: Array, sun: Array, dx: float, dy: float, dz: float) -> RGB:
    """Radiance of the sky: horizon to zenith, clouds, glow around the sun."""
    rise = max(dz, 0.0)
    red, green, blue = smooth_sky(light, rise)
    px, py = dx / (rise + 0.12), dy / (rise + 0.12)
    phase = light[12]
    cloud = 0.65 * noise(0.9 * px + phase, 0.9 * py, 0.5)
    cloud += 0.35 * noise(2.7 * px + phase, 2.7 * py, 7.5)
    share = min(max((cloud - 1.0 + light[9]) * 3.0, 0.0), 1.0)
    glow = 0.3 * max(dx * sun[0] + dy * sun[1] + dz * sun[2], 0.0) ** 40 * (1.0 - share)
    white = 0.95 + 0.25 * share
    return (
        red + (white - red) * share + glow * light[0],
        green + (white - green) * share + glow * light[1],
        blue + (white - blue) * share + glow * light[2],
    )


def draw_tints(generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """Colours of asphalt, paint, paving, grass and slabs of a scene: [5, 3]."""
    draw = generator.uniform
    grass = np.array([[0.1, 0.16, 0.05], [0.17, 0.17, 0.08], [0.2, 0.16, 0.1]])
    bases = np.array(
        [
            draw(0.07, 0.2) * np.array([1.0, 1.0, 1.02]),
            [0.6, 0.6, 0.57],
            draw(0.2, 0.42) * (1.0 + draw(-0.05, 0.3) * np.array([1.0, 0.0, -0.8])),
            grass[generator.integers(3)] * draw(0.7, 1.3),
            draw(0.12, 0.4) * (1.0 + draw(-0.1, 0.35) * np.array([1.0, 0.2, -0.8])),
        ]
    )
    return np.asarray(bases * draw(0.93, 1.07, (5, 3)))
