"""The ground of a town block: slight relief, a winding street, side streets, pavements, plots.

Block axes: x along the street, y to the left, z up, metres. The street's middle is y = c(x);
"across" is y - c(x). What is not street is raised by a kerb.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sensorfusion.compiled import borrowing
from sensorfusion.simulation.vectors import cross

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

HALF_LENGTH, HALF_WIDTH = 144.0, 80.0  # of the block
CELL = 2.0
KERB = 0.14
PLOT = 24.0  # length of a plot along the street
ASPHALT, PAINT, PAVING, GRASS, SLAB = range(5)  # what the ground is made of


@dataclass(frozen=True, eq=False)
class Ground:
    """Shape and zones of a block's ground.

    Args:
        bends_K3: amplitude (m), wave number (1/m), phase of the sines that add up to c(x).
        relief_K4: amplitude, wave numbers along x and y, phase, of the sines of the height.
        half_street: half the width of the street, parking included.
        pavement: width of the pavements.
        lanes: offsets of the lane marks from the middle: dashed ones.
        crossings_K2: x and half width of straight side streets.
        plots_2M: uint8, what a plot of `PLOT` metres is covered with, on the right and the left.
    """

    bends_K3: Floats
    relief_K4: Floats
    half_street: float
    pavement: float
    lanes: Floats
    crossings_K2: Floats
    plots_2M: npt.NDArray[np.uint8]

    def middle(self, x: Any) -> Any:
        """c(x) and its slope."""
        amplitude, number, phase = self.bends_K3.T
        angle = np.multiply.outer(x, number) + phase
        return np.sin(angle) @ amplitude, np.cos(angle) @ (amplitude * number)

    def relief(self, x: Any, y: Any) -> Any:
        """Height of the street's level, and its slopes along x and y."""
        amplitude, kx, ky, phase = self.relief_K4.T
        angle = np.multiply.outer(x, kx) + np.multiply.outer(y, ky) + phase
        slope = np.cos(angle) * amplitude
        return np.sin(angle) @ amplitude, slope @ kx, slope @ ky

    def on_street(self, x: Any, y: Any) -> Any:
        """Whether places are on the street or a side street, as opposed to raised ground."""
        street = np.abs(y - self.middle(x)[0]) < self.half_street
        for place, half in self.crossings_K2:
            street = street | (np.abs(x - place) < half)
        return street

    def height(self, x: Any, y: Any) -> Any:
        """Height of the ground, kerb included."""
        return self.relief(x, y)[0] + np.where(self.on_street(x, y), 0.0, KERB)

    def pose(self, x: float, y: float, heading: float, *, lift: float = 0.0) -> Floats:
        """T_block_object of what stands at a place, upright on the slope: float64 [4, 4]."""
        level, along_x, along_y = self.relief(x, y)
        up = np.array([-along_x, -along_y, 1.0])
        up /= np.linalg.norm(up)
        ahead = np.array([math.cos(heading), math.sin(heading), 0.0])
        ahead -= up * (ahead @ up)
        ahead /= np.linalg.norm(ahead)
        transform = np.zeros((4, 4))
        transform[:3, 0], transform[:3, 1], transform[:3, 2] = ahead, cross(up, ahead), up
        transform[:, 3] = x, y, level + lift, 1.0
        return transform


def make_ground(generator: np.random.Generator) -> Ground:
    """Draw a ground."""
    draw = generator.uniform
    lengths = np.array([draw(170, 260), draw(100, 150)])
    bends = np.stack([[draw(3, 7), draw(0.5, 1.5)], 2 * np.pi / lengths, draw(0, 6.28, 2)], axis=1)
    waves, turns = draw(45, 140, 4), draw(0, 6.28, 4)
    relief = np.stack(
        [
            draw(0.08, 0.3, 4),
            2 * np.pi / waves * np.cos(turns),
            2 * np.pi / waves * np.sin(turns),
            draw(0, 6.28, 4),
        ],
        axis=1,
    )
    wide = generator.random() < 0.4
    half = draw(7.6, 8.4) if wide else draw(5.4, 6.2)
    lanes = np.array([-3.2, 0.0, 3.2]) if wide else np.array([0.0])
    places = [draw(-75, -30), draw(30, 75)][: generator.integers(1, 3)]
    crossings = np.array([[place, draw(3.5, 5.5)] for place in places])
    plots = generator.choice(
        np.array([GRASS, PAVING, SLAB], dtype=np.uint8),
        (2, int(2 * HALF_LENGTH / PLOT) + 1),
        p=(0.5, 0.25, 0.25),
    )
    return Ground(bends, relief, half, draw(2.2, 4.5), lanes, crossings, plots)


def ground_tables(ground: Ground) -> tuple[Floats, Floats, Floats, Array]:
    """What kernels read: middle [X, 2] per metre, (street, pavement) [2], heights, zones of cells.

    Heights [I + 1, J + 1] are those of the street's level at the corners of the cells. A cell's
    zone is 0 for all street, 1 for all raised, 2 for both.
    """
    metres = np.arange(-HALF_LENGTH, HALF_LENGTH + 2)
    middle = np.stack(ground.middle(metres), axis=1)
    x = np.arange(-HALF_LENGTH, HALF_LENGTH + CELL / 2, CELL)
    y = np.arange(-HALF_WIDTH, HALF_WIDTH + CELL / 2, CELL)
    heights = ground.relief(*np.meshgrid(x, y, indexing="ij"))[0]
    reach = np.linspace(-0.1, CELL + 0.1, 9)
    fine_x = (x[:-1, None] + reach).reshape(-1, 1)
    fine_y = (y[:-1, None] + reach).reshape(1, -1)
    street = ground.on_street(fine_x[:, 0][:, None], fine_y)
    blocks = street.reshape(len(x) - 1, 9, len(y) - 1, 9)
    all_street, any_street = blocks.all(axis=(1, 3)), blocks.any(axis=(1, 3))
    zones = np.where(all_street, 0, np.where(any_street, 2, 1)).astype(np.uint8)
    widths = np.array([ground.half_street, ground.pavement])
    return np.ascontiguousarray(middle), widths, np.ascontiguousarray(heights), zones


@borrowing
def across(middle: Array, x: float, y: float) -> float:
    """Y - c(x), by linear interpolation between metres."""
    place = min(max(x + HALF_LENGTH, 0.0), middle.shape[0] - 1.001)
    i = int(place)
    part = place - i
    return float(y - (middle[i, 0] * (1.0 - part) + middle[i + 1, 0] * part))


@borrowing
def is_street(middle: Array, widths: Array, crossings: Array, x: float, y: float) -> bool:
    """`Ground.on_street` inside kernels."""
    if abs(across(middle, x, y)) < widths[0]:
        return True
    inside = False
    for k in range(crossings.shape[0]):
        inside |= abs(x - crossings[k, 0]) < crossings[k, 1]
    return inside


@borrowing
def made_of(
    middle: Array, widths: Array, lanes: Array, crossings: Array, plots: Array, x: float, y: float
) -> int:
    """What the ground is made of at a place."""
    side = across(middle, x, y)
    away = abs(side)
    junction, kerb = 1e9, 1e9  # distance along x from the nearest side street's edge
    for k in range(crossings.shape[0]):
        gap = abs(x - crossings[k, 0]) - crossings[k, 1]
        junction = min(junction, gap)
        kerb = min(kerb, gap)
    if away < widths[0]:
        return _street_marks(lanes, widths[0], side, x, junction)
    if kerb < 0:
        middle_line = away > widths[0] + 4.0 and abs(kerb_centre(crossings, x)) < 0.07
        return 1 if middle_line and (y % 6.0) < 3.0 else 0
    if away < widths[0] + widths[1] or kerb < 2.5:
        return 2
    row = 0 if side < 0 else 1
    plot = int((x + HALF_LENGTH) / PLOT)
    return int(plots[row, min(max(plot, 0), plots.shape[1] - 1)])


@borrowing
def kerb_centre(crossings: Array, x: float) -> float:
    """Signed distance along x from the middle of the nearest side street."""
    nearest = 1e9
    for k in range(crossings.shape[0]):
        if abs(x - crossings[k, 0]) < abs(nearest):
            nearest = x - crossings[k, 0]
    return nearest


@borrowing
def _street_marks(lanes: Array, half: float, side: float, x: float, junction: float) -> int:
    """Asphalt or paint: lane marks, edge lines, zebra crossings before side streets."""
    if 1.0 < junction < 4.0:
        return 1 if (side + 100.0) % 1.1 < 0.5 and abs(side) < half - 0.3 else 0
    if junction < 1.0:
        return 0
    for k in range(lanes.shape[0]):
        if abs(side - lanes[k]) < 0.075 and (x + 1000.0) % 7.0 < 3.2:
            return 1
    return 1 if abs(abs(side) - half + 2.15) < 0.06 and half > 5.7 else 0
