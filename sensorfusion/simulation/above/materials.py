"""What the land is covered with: how materials reflect light and radar, and their class.

Reflectances and backscatter are typical values at Sentinel-2's bands and Sentinel-1's wavelength,
rounded by hand; they are plausible, not measured.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

CLASSES = (
    "tree_cover",
    "shrubland",
    "grassland",
    "cropland",
    "built_up",
    "bare",
    "water",
    "wetland",
)
TREES, SHRUBS, GRASS, CROPS, BUILT, BARE, WATER, WETLAND = range(8)
WORLDCOVER = dict(zip(CLASSES, (10, 20, 30, 40, 50, 60, 80, 90), strict=True))  # ESA's codes
PALETTE = (
    (0, 100, 0),
    (255, 187, 34),
    (255, 255, 76),
    (240, 150, 255),
    (250, 0, 0),
    (180, 180, 180),
    (0, 100, 200),
    (0, 150, 160),
)
CHANGES = ("none", "new_building", "harvest", "clear_cut", "flood")
NONE, NEW_BUILDING, HARVEST, CLEAR_CUT, FLOOD = range(5)


class Material(NamedTuple):
    """A material.

    Args:
        label: its class. aged: the name of what it fades into when it dries or wears.
        reflectance: in percent, at the twelve bands of `sensors.optical.L2A_BANDS`.
        vv, vh: backscatter sigma nought at 38 degrees of incidence, in dB.
        varied: how much its brightness differs from place to place.
    """

    label: int
    aged: str
    reflectance: tuple[float, ...]
    vv: float
    vh: float
    varied: float = 0.12


MATERIALS: dict[str, Material] = {
    "deciduous": Material(
        TREES, "shrub", (2.2, 2.4, 4.4, 2.7, 7.6, 21.5, 27, 29, 30, 30.5, 15.5, 6.8), -8.8, -14.6
    ),
    "conifer": Material(
        TREES, "shrub", (1.6, 1.8, 3, 1.9, 4.6, 13, 16.3, 18, 18.8, 19.2, 8.6, 3.8), -9.4, -15.4
    ),
    "shrub": Material(
        SHRUBS, "dry_grass", (3, 3.6, 6, 5.4, 10, 18, 21.5, 23, 24.2, 25, 19, 11), -11.2, -17.2
    ),
    "grass": Material(
        GRASS, "dry_grass", (3, 3.6, 7.4, 4.2, 11.5, 29, 36.5, 39.5, 41, 41.5, 21, 9.6), -13, -20
    ),
    "dry_grass": Material(GRASS, "soil", (5, 6, 9, 10, 14, 20, 23, 25, 27, 28, 29, 19), -13.6, -21),
    "cereal": Material(
        CROPS, "ripe", (2.8, 3.1, 6.6, 3.6, 10.2, 31, 41, 44, 45, 45.5, 19, 8.2), -13.4, -19.6
    ),
    "maize": Material(
        CROPS, "grass", (2.6, 3, 6, 3.6, 9.6, 28, 36, 39, 40, 40, 18, 7.6), -9.8, -15.6
    ),
    "rape": Material(
        CROPS, "ripe", (4, 4.8, 13, 11.5, 18.5, 33, 39, 41, 42, 42, 20, 9.2), -10.2, -14.8
    ),
    "ripe": Material(
        CROPS, "stubble", (6, 7.4, 11, 14, 18, 22, 25, 28, 30, 31, 33, 22), -12.6, -18.8
    ),
    "stubble": Material(
        CROPS, "soil", (7, 8.4, 12, 15.4, 18.5, 20.5, 22.5, 24.5, 26, 27, 34, 26.4), -12.2, -20.4
    ),
    "soil": Material(
        CROPS, "gravel", (5, 6, 8.4, 11, 13, 14.2, 15.6, 17, 18, 19, 25, 21), -10.8, -19.6, 0.22
    ),
    "red_roof": Material(
        BUILT, "grey_roof", (5.6, 6.6, 9, 15.5, 18, 19, 20, 22, 23, 24, 29, 26), -6.5, -15.5, 0.2
    ),
    "grey_roof": Material(
        BUILT, "dark_roof", (11, 12, 13.4, 14.4, 15, 15.6, 16, 16.6, 17, 18, 20, 19), -6, -15.5, 0.3
    ),
    "dark_roof": Material(
        BUILT, "grey_roof", (5, 5.5, 6, 6.5, 6.7, 7, 7.2, 7.5, 8, 8, 9, 9), -6.5, -16, 0.25
    ),
    "metal_roof": Material(
        BUILT, "grey_roof", (28, 31, 34, 35, 35.5, 36, 36.5, 37, 37.5, 38, 36, 32), -3, -15, 0.3
    ),
    "asphalt": Material(
        BUILT, "paving", (7, 7.6, 8.6, 9.6, 10, 10.5, 11, 11.5, 12, 12.5, 15, 14), -17, -25, 0.15
    ),
    "paving": Material(
        BUILT, "gravel", (13, 14.5, 17, 19, 20, 20.5, 21, 22, 23, 24, 28, 26), -14, -23, 0.2
    ),
    "gravel": Material(
        BARE, "soil", (12, 14, 17, 20, 21, 22, 23, 24.5, 25.5, 26, 32, 30), -12.8, -22, 0.2
    ),
    "rock": Material(
        BARE, "shrub", (9, 10, 12, 14, 15, 15.5, 16, 17, 18, 19, 23, 21), -9.8, -19, 0.22
    ),
    "cleared": Material(
        BARE, "shrub", (4.5, 5.4, 7.6, 9.6, 12, 14.5, 16.5, 18, 19, 20, 23, 17.5), -11, -18.4, 0.2
    ),
    "earth": Material(
        BARE, "gravel", (6.5, 8, 11, 15, 17, 18, 19, 21, 22, 23, 30, 27), -12, -21.5, 0.2
    ),
    "water": Material(
        WATER, "turbid", (3, 3, 2.8, 1.7, 1.3, 1, 0.9, 0.8, 0.7, 0.6, 0.4, 0.3), -21, -28.5, 0.1
    ),
    "turbid": Material(
        WATER, "mud", (5, 6, 8.4, 7.6, 6.2, 3.6, 3, 2.6, 2.2, 1.6, 0.6, 0.4), -20, -27.5, 0.15
    ),
    "reed": Material(
        WETLAND, "mud", (3, 3.5, 6, 5.4, 9, 16.5, 20, 22, 22.6, 22, 14.5, 7.6), -10.8, -18.4
    ),
    "mud": Material(
        WETLAND, "reed", (4.6, 5, 6.2, 7, 7.6, 8.2, 8.6, 9, 9.2, 9, 6.4, 4), -14.5, -23.5, 0.2
    ),
}
NAMES = tuple(MATERIALS)
NUMBER = {name: number for number, name in enumerate(NAMES)}
LABEL_M = np.array([m.label for m in MATERIALS.values()], np.uint8)
AGED_M = np.array([NUMBER[m.aged] for m in MATERIALS.values()])
REFLECTANCE_MB = np.array([m.reflectance for m in MATERIALS.values()], np.float32) / 100
BACKSCATTER_MB = np.array([(m.vv, m.vh) for m in MATERIALS.values()], np.float32)
VARIED_M = np.array([m.varied for m in MATERIALS.values()], np.float32)
