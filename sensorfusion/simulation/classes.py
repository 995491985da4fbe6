"""The sixteen classes of the simulated world: those of nuScenes-lidarseg, in its order."""

from __future__ import annotations

CLASSES = (
    "barrier",
    "bicycle",
    "bus",
    "car",
    "construction_vehicle",
    "motorcycle",
    "pedestrian",
    "traffic_cone",
    "trailer",
    "truck",
    "driveable_surface",
    "other_flat",
    "sidewalk",
    "terrain",
    "manmade",
    "vegetation",
)
NUSCENES_LIDARSEG = {name: number + 1 for number, name in enumerate(CLASSES)}  # 0 is noise there
IGNORED = 255  # of pixels that show the sky

BARRIER, BICYCLE, BUS, CAR, CONSTRUCTION, MOTORCYCLE, PEDESTRIAN, CONE = range(8)
TRAILER, TRUCK, ROAD, OTHER_FLAT, SIDEWALK, TERRAIN, MANMADE, VEGETATION = range(8, 16)

PALETTE = (
    (112, 128, 144),
    (220, 20, 60),
    (255, 127, 80),
    (255, 158, 0),
    (233, 150, 70),
    (255, 61, 99),
    (0, 0, 230),
    (47, 79, 79),
    (255, 140, 0),
    (255, 99, 71),
    (0, 207, 191),
    (175, 0, 75),
    (75, 0, 75),
    (112, 180, 60),
    (222, 184, 135),
    (0, 175, 0),
)
