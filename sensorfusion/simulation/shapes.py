"""What objects are built of: boxes, ellipsoids and cylinders, with materials.

A shape is the image of a unit shape: the box |x|, |y|, |z| <= 1, the ball |p| <= 1, or the
cylinder x^2 + y^2 <= 1, |z| <= 1, scaled by its half sizes, turned and moved. A taper k narrows
boxes (per axis) and cylinders from 1 at z = -1 to 1 - k at z = 1: roofs, cabins, cones.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sensorfusion.geometry.rotation import rotation_about
from sensorfusion.simulation.vectors import cross

Floats = npt.NDArray[np.float64]
Vector = Sequence[float] | npt.NDArray[Any]
Colour = tuple[float, float, float]

BOX, BALL, CYLINDER = range(3)


class Texture(enum.IntEnum):
    """How a surface is coloured."""

    PLAIN = 0
    FACADE = 1
    BRICK = 2
    FOLIAGE = 3
    BARK = 4
    BODYWORK = 5
    CABIN = 6
    WHEEL = 7
    CLOTH = 8
    BANDS = 9
    MESH = 10
    RIBBED = 11
    PANES = 12
    ROOF = 13
    SIGN = 14
    CONCRETE = 15
    SPOKES = 16


@dataclass(frozen=True, eq=False)
class Shape:
    """One shape in its object's frame.

    Args:
        kind: BOX, BALL or CYLINDER. centre, half: metres. rotation: [3, 3].
        taper: along x and y (a cylinder uses the first).
        texture: how it is coloured. colour, second: linear RGB of its two colours.
        reflectance: at the LiDAR's wavelength, 0-1. gloss: share of mirrored sky.
        holes: share of its surface that rays pass through: foliage, meshes.
    """

    kind: int
    centre: Floats
    half: Floats
    rotation: Floats
    taper: tuple[float, float]
    texture: Texture
    colour: Colour
    second: Colour
    reflectance: float
    gloss: float
    holes: float


@dataclass
class Sketch:
    """An object while it is built, in its own frame: x ahead, y left, z up, on the ground."""

    shapes: list[Shape] = field(default_factory=list)

    def add(
        self,
        kind: int,
        centre: Vector,
        half: Vector,
        colour: Colour,
        *,
        texture: Texture = Texture.PLAIN,
        second: Colour | None = None,
        taper: tuple[float, float] = (0.0, 0.0),
        rotation: Floats | None = None,
        reflectance: float = 0.3,
        gloss: float = 0.0,
        holes: float = 0.0,
    ) -> None:
        """Add a shape."""
        turn = np.eye(3) if rotation is None else rotation
        self.shapes.append(
            Shape(
                kind,
                np.asarray(centre, dtype=np.float64),
                np.asarray(half, dtype=np.float64),
                turn,
                taper,
                texture,
                colour,
                colour if second is None else second,
                reflectance,
                gloss,
                holes,
            )
        )

    def box(self, centre: Vector, half: Vector, colour: Colour, **more: Any) -> None:
        """Add a box."""
        self.add(BOX, centre, half, colour, **more)

    def ball(self, centre: Vector, half: Vector, colour: Colour, **more: Any) -> None:
        """Add an ellipsoid."""
        self.add(BALL, centre, half, colour, **more)

    def rod(
        self,
        start: Vector,
        end: Vector,
        radius: float,
        colour: Colour,
        **more: Any,
    ) -> None:
        """Add a cylinder from one point to another."""
        self._along(CYLINDER, start, end, radius, 0.0, colour, more)

    def limb(
        self,
        start: Vector,
        end: Vector,
        radius: float,
        colour: Colour,
        **more: Any,
    ) -> None:
        """Add an ellipsoid that reaches a little beyond two points: an arm, a leg."""
        self._along(BALL, start, end, radius, 0.8 * radius, colour, more)

    def moved(self, offset: Vector, yaw: float = 0.0, scale: float = 1.0) -> list[Shape]:
        """The shapes, scaled, turned about z, then moved."""
        turn = rotation_about((0, 0, 1), yaw)
        return [
            dataclasses.replace(
                shape,
                centre=np.asarray(turn @ (scale * shape.centre) + offset, dtype=np.float64),
                half=scale * shape.half,
                rotation=turn @ shape.rotation,
            )
            for shape in self.shapes
        ]

    def _along(
        self,
        kind: int,
        start: Vector,
        end: Vector,
        radius: float,
        beyond: float,
        colour: Colour,
        more: dict[str, Any],
    ) -> None:
        first, last = np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)
        length = float(np.linalg.norm(last - first))
        half = (radius, radius, length / 2 + beyond)
        turn = facing((last - first) / max(length, 1e-9))
        self.add(kind, (first + last) / 2, half, colour, rotation=turn, **more)


def facing(direction_3: Floats) -> Floats:
    """A rotation that takes the z axis to a unit direction."""
    axis = cross(np.array([0.0, 0.0, 1.0]), direction_3)
    sine, cosine = float(np.linalg.norm(axis)), float(direction_3[2])
    if sine < 1e-9:
        return np.eye(3) if cosine > 0 else np.diag([1.0, -1.0, -1.0])
    return rotation_about(axis, float(np.arctan2(sine, cosine)))


@dataclass(frozen=True, eq=False)
class Shapes:
    """P shapes of many objects as arrays; see `Shape` for what they mean.

    Args:
        object_P: int64, the object that each belongs to. look_P12: colours, texture, gloss,
            reflectance, half sizes: what shading reads.
    """

    kind_P: npt.NDArray[np.int64]
    centre_P3: Floats
    half_P3: Floats
    rotation_P33: Floats
    taper_P2: Floats
    holes_P: Floats
    reflectance_P: Floats
    look_P12: Floats
    object_P: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.kind_P)


def pack(objects: Sequence[Sequence[Shape]]) -> Shapes:
    """The shapes of all objects, one object after the other."""
    shapes = [shape for parts in objects for shape in parts]
    lengths = [len(parts) for parts in objects]
    look = [
        (*s.colour, *s.second, float(s.texture), s.gloss, s.reflectance, *s.half) for s in shapes
    ]
    return Shapes(
        kind_P=np.array([s.kind for s in shapes], dtype=np.int64),
        centre_P3=np.array([s.centre for s in shapes]).reshape(-1, 3),
        half_P3=np.array([s.half for s in shapes]).reshape(-1, 3),
        rotation_P33=np.array([s.rotation for s in shapes]).reshape(-1, 3, 3),
        taper_P2=np.array([s.taper for s in shapes]).reshape(-1, 2),
        holes_P=np.array([s.holes for s in shapes], dtype=np.float64),
        reflectance_P=np.array([s.reflectance for s in shapes], dtype=np.float64),
        look_P12=np.array(look, dtype=np.float64).reshape(-1, 12),
        object_P=np.repeat(np.arange(len(objects)), lengths),
    )
