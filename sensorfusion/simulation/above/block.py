"""The simulated town's own block in the cells of a region: its streets, buildings and trees."""

from __future__ import annotations

import numpy as np

from sensorfusion.geometry.poses import invert
from sensorfusion.simulation import classes
from sensorfusion.simulation.above.grid import Array, Floats, Grid
from sensorfusion.simulation.above.land import Land
from sensorfusion.simulation.above.materials import NUMBER
from sensorfusion.simulation.ground import GRASS as LAWN
from sensorfusion.simulation.ground import HALF_LENGTH, HALF_WIDTH, PAVING, PLOT
from sensorfusion.simulation.scene import Scene
from sensorfusion.simulation.shapes import BOX

LEAST_AREA, LEAST_HEIGHT = 12.0, 2.5  # of what counts as a building (m^2, m)
ROOFS = ("red_roof", "grey_roof", "dark_roof")


def place_block(grid: Grid, scene: Scene, land: Land) -> None:
    """Put what stands in the scene's block onto the cells that it covers."""
    x, y = block_coordinates(grid, scene)
    rows, columns = np.nonzero((np.abs(x) < HALF_LENGTH) & (np.abs(y) < HALF_WIDTH))
    if not len(rows):
        return
    x_N, y_N = x[rows, columns], y[rows, columns]
    material, height = _ground_cover(scene, x_N, y_N), np.zeros(len(rows), np.float32)
    _objects(scene, x_N, y_N, material, height)
    land.material_HW[rows, columns] = material
    land.object_HW[rows, columns] = height
    land.plain_HW[rows, columns] = NUMBER["red_roof"]
    land.farmed_HW[rows, columns] = False
    land.wooded_HW[rows, columns] = False


def block_coordinates(grid: Grid, scene: Scene) -> tuple[Floats, Floats]:
    """Block axes of every cell [H, W]."""
    move = invert(scene.T_world_block)
    x, y = np.meshgrid(grid.eastings, grid.northings)
    return (
        np.asarray(move[0, 0] * x + move[0, 1] * y + move[0, 3], np.float32),
        np.asarray(move[1, 0] * x + move[1, 1] * y + move[1, 3], np.float32),
    )


def _ground_cover(scene: Scene, x_N: Floats, y_N: Floats) -> Array:
    ground = scene.ground
    across = y_N - ground.middle(x_N)[0]
    plot = np.clip(((x_N + HALF_LENGTH) / PLOT).astype(int), 0, ground.plots_2M.shape[1] - 1)
    covered = ground.plots_2M[np.where(across < 0, 0, 1), plot]
    material = np.full(len(x_N), NUMBER["paving"])
    material[covered == LAWN] = NUMBER["grass"]
    material[(covered == PAVING)] = NUMBER["paving"]
    material[np.abs(across) < ground.half_street + ground.pavement] = NUMBER["paving"]
    material[ground.on_street(x_N, y_N)] = NUMBER["asphalt"]
    return material


def _objects(scene: Scene, x_N: Floats, y_N: Floats, material: Array, height: Floats) -> None:
    """Footprints of buildings (their largest box) and of crowns."""
    shapes = scene.shapes
    volume = shapes.half_P3.prod(axis=1)
    standing = np.setdiff1d(np.arange(len(scene.label_O)), scene.moving_O)
    for number in standing[np.isin(scene.label_O[standing], (classes.MANMADE, classes.VEGETATION))]:
        rows = np.nonzero(shapes.object_P == number)[0]
        row = rows[np.argmax(volume[rows])]
        pose, half = scene.object_pose(int(number), 0.0), shapes.half_P3[row]
        place = invert(pose)
        u = place[0, 0] * x_N + place[0, 1] * y_N + place[0, 3] - shapes.centre_P3[row, 0]
        v = place[1, 0] * x_N + place[1, 1] * y_N + place[1, 3] - shapes.centre_P3[row, 1]
        top = float(shapes.centre_P3[row, 2] + half[2])
        if scene.label_O[number] == classes.VEGETATION:
            inside = np.hypot(u, v) < max(half[:2].max(), 1.3)
            name = "deciduous" if top > 3.0 else "shrub"
        else:
            inside = (np.abs(u) < half[0]) & (np.abs(v) < half[1])
            large = 4 * half[0] * half[1] > LEAST_AREA and top > LEAST_HEIGHT
            inside &= bool(large and shapes.kind_P[row] == BOX)
            name = ROOFS[int(number) % len(ROOFS)]
        inside &= height <= top
        material[inside], height[inside] = NUMBER[name], top
