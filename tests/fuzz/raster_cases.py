"""How each public function of `geometry.rasters` is tried."""

from __future__ import annotations

import numpy as np

from sensorfusion.geometry import rasters
from tests.fuzz.cases import Arguments, Case


def transform(rng: np.random.Generator) -> np.ndarray:
    """Pixels of some metres, turned."""
    angle, (along, down) = rng.uniform(0, 6), rng.uniform(1, 20, 2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.column_stack([turn @ np.diag([along, -down]), rng.uniform(1e2, 1e4, 2)])


def there(rng: np.random.Generator) -> Arguments:
    return {"transform_23": transform(rng), "pixels_N2": rng.uniform(0, 100, (7, 2))}


def maps_back(arguments: Arguments, found: np.ndarray) -> None:
    again = rasters.pixel_points(arguments["transform_23"], found)
    np.testing.assert_allclose(again, arguments["pixels_N2"], atol=1e-4)


def back(rng: np.random.Generator) -> Arguments:
    sound = there(rng)
    return {
        "transform_23": sound["transform_23"],
        "points_N2": rasters.map_points(sound["transform_23"], sound["pixels_N2"]),
    }


RASTER_CASES = {
    "rasters.north_up": Case(rasters.north_up, lambda _: {"left": 5e5, "top": 6e6, "pixel": 10.0}),
    "rasters.map_points": Case(rasters.map_points, there, maps_back),
    "rasters.pixel_points": Case(rasters.pixel_points, back),
    "rasters.pixel_size": Case(rasters.pixel_size, lambda rng: {"transform_23": transform(rng)}),
    "rasters.composed": Case(
        rasters.composed,
        lambda rng: {"transform_23": transform(rng), "new_33": rasters.window_map(3, 4)},
    ),
    "rasters.window_map": Case(rasters.window_map, lambda _: {"top": 3, "left": 4}),
    "rasters.mirror_map": Case(rasters.mirror_map, lambda _: {"width": 8}),
    "rasters.quarter_turn_map": Case(rasters.quarter_turn_map, lambda _: {"width": 8}),
}
