"""A person in front of a camera: level ground, a few things that stand about, and one body.

Stage axes are those of a block: the person starts near the origin of the stage, z is up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from sensorfusion.geometry.poses import invert, pose
from sensorfusion.geometry.rotation import rotation_about
from sensorfusion.simulation.body import People, leg_length, standing_height
from sensorfusion.simulation.body import pose as body_pose
from sensorfusion.simulation.classes import MANMADE, PEDESTRIAN
from sensorfusion.simulation.colours import muted, vivid
from sensorfusion.simulation.ground import KERB, Ground
from sensorfusion.simulation.kinematics import Posed
from sensorfusion.simulation.light import Light, make_light
from sensorfusion.simulation.people import SEGMENTS, dressed, segment_poses
from sensorfusion.simulation.shapes import BOX, Shapes, Sketch, Texture, pack
from sensorfusion.simulation.surface import draw_tints
from sensorfusion.simulation.world import (
    World,
    balls_around,
    bounds,
    cell_entries,
    ground_fields,
    sort_entries,
    unit_maps,
)

Floats = npt.NDArray[np.float64]
ORIGIN = np.array([0.0, 40.0, KERB])  # of the stage, on the block's raised ground
CLEAR = 0.2  # metres: what is nearer to a joint than this is the body around it


@dataclass(frozen=True, eq=False)
class Stage:
    """One person and things on level ground.

    Args:
        T_stage_person: where the person's own axes are.
        shapes: of the body's segments (the first objects), then of the things.
        light, tints, plots: how it looks.
    """

    person: People
    T_stage_person: Floats
    shapes: Shapes
    light: Light
    tints: Floats
    plots: npt.NDArray[np.uint8]

    def posed(self, seconds_T: Floats) -> Posed:
        """Joints [T, J, 3] and rotations of the person in stage axes."""
        rows = np.zeros(len(seconds_T), dtype=np.int64)
        own = body_pose(self.person.take(rows), seconds_T)
        turn = self.T_stage_person[:3, :3]
        joints = own.joints_NJ3 @ turn.T + self.T_stage_person[:3, 3]
        return Posed(joints, turn @ own.rotation_NJ33)

    def placed(self, posed: Posed) -> tuple[Floats, Floats]:
        """Centres [T, P, 3] and rotations [T, P, 3, 3] of all shapes, stage axes."""
        count = len(posed.joints_NJ3)
        bones = np.broadcast_to(self.person.bones_NJ3, (count, *self.person.bones_NJ3.shape[1:]))
        poses = np.tile(np.eye(4), (count, int(self.shapes.object_P.max()) + 1, 1, 1))
        poses[:, : len(SEGMENTS)] = segment_poses(posed, bones)
        of_shape = poses[:, self.shapes.object_P]
        turn = of_shape[..., :3, :3]
        centre = (turn @ self.shapes.centre_P3[..., None])[..., 0] + of_shape[..., :3, 3]
        return centre, turn @ self.shapes.rotation_P33

    def at(self, seconds: float) -> World:
        """The stage at a moment, as rays see it; block axes (add `ORIGIN` to stage axes)."""
        centre, rotation = (array[0] for array in self.placed(self.posed(np.array([seconds]))))
        centre = centre + ORIGIN
        rows, base = np.arange(len(self.shapes)), _empty()
        low, high = bounds(centre, rotation, self.shapes, rows)
        starts, entries, tops = sort_entries(*cell_entries(low, high, rows))
        objects = int(self.shapes.object_P.max()) + 1
        label = np.full(objects, MANMADE, dtype=np.uint8)
        label[: len(SEGMENTS)] = PEDESTRIAN
        return base._replace(
            shapes_P16=unit_maps(centre, rotation, self.shapes, rows),
            balls_P4=balls_around(centre, self.shapes, rows),
            moves_P6=np.zeros((len(rows), 6)),
            moving_P=np.zeros(len(rows), dtype=np.bool_),
            look_P12=self.shapes.look_P12,
            object_P=self.shapes.object_P,
            label_O=label,
            starts_C=starts,
            entries_E=entries,
            tops_IJ=tops,
            plots=self.plots,
            ceiling=float(max(tops.max(), KERB)) + 0.1,
            sun_3=self.light.sun_3,
            light=self.light.table_16,
            tints=self.tints,
        )

    def hidden(self, posed: Posed, camera_3: Floats) -> npt.NDArray[np.bool_]:
        """Which joints [T, J] something hides from a place: a shape `CLEAR` before the joint."""
        centre, rotation = self.placed(posed)
        count, parts = centre.shape[:2]
        rows = np.tile(np.arange(parts), count)
        maps = unit_maps(centre.reshape(-1, 3), rotation.reshape(-1, 3, 3), self.shapes, rows)
        linear = maps[:, :9].reshape(count, parts, 3, 3)
        start = linear @ camera_3 + maps[:, 9:12].reshape(count, parts, 3)
        way = posed.joints_NJ3 - camera_3
        distance = np.linalg.norm(way, axis=2)
        ray = np.swapaxes(linear @ np.swapaxes(way, 1, 2)[:, None], 2, 3)  # [T, P, J, 3]
        box = (self.shapes.kind_P == BOX)[:, None]
        enter = np.where(box, _box_entry(start, ray), _ball_entry(start, ray)) * distance[:, None]
        return np.asarray(((enter > 0.0) & (enter < distance[:, None] - CLEAR)).any(axis=1))


def make_stage(generator: np.random.Generator, person: People, T_stage_person: Floats) -> Stage:
    """Dress a person and put things about; one of three stages has one between camera and body.

    The camera is thought to stand at negative x.
    """
    size = float(person.size_N[0])
    body = dressed(generator, person.bones_NJ3[0], size)
    things = [_back(generator), *(_thing(generator) for _ in range(generator.integers(0, 4)))]
    if generator.random() < 0.35:
        things.append(_before(generator))
    seat = _seat(generator, person, T_stage_person)
    shapes = pack([part.shapes for part in [*body, *things, *seat]])
    plots = np.full((2, 13), generator.integers(2, 5), dtype=np.uint8)
    return Stage(
        person, T_stage_person, shapes, make_light(generator), draw_tints(generator), plots
    )


def _back(generator: np.random.Generator) -> Sketch:
    """A wall behind the person."""
    sketch, draw = Sketch(), generator.uniform
    texture = Texture.CONCRETE if generator.random() < 0.6 else Texture.BRICK
    turn = rotation_about((0, 0, 1), draw(-0.3, 0.3))
    colour, second = muted(generator), muted(generator)
    place = (draw(2.2, 5.0), 0.0, 1.4)
    sketch.add(BOX, place, (0.1, 6.0, 1.4), colour, texture=texture, second=second, rotation=turn)
    return sketch


def _thing(generator: np.random.Generator) -> Sketch:
    """A box beside or behind the person."""
    sketch, draw = Sketch(), generator.uniform
    half = (draw(0.15, 0.5), draw(0.15, 0.5), draw(0.2, 0.8))
    place = (draw(0.9, 2.0), draw(-2.2, 2.2), half[2])
    sketch.box(place, half, vivid(generator), rotation=rotation_about((0, 0, 1), draw(0, 3.1)))
    return sketch


def _before(generator: np.random.Generator) -> Sketch:
    """Something that hides a part of the body: a table, or a post."""
    sketch, draw = Sketch(), generator.uniform
    if generator.random() < 0.6:
        half = (0.2, draw(0.3, 0.9), draw(0.25, 0.42))
        sketch.box((draw(-1.3, -0.9), draw(-0.7, 0.7), half[2]), half, vivid(generator))
    else:
        place = (draw(-1.3, -0.9), draw(-0.5, 0.5), 1.1)
        sketch.box(place, (0.06, draw(0.05, 0.14), 1.1), muted(generator))
    return sketch


def _seat(generator: np.random.Generator, person: People, T_stage_person: Floats) -> list[Sketch]:
    """What a person who sits down or stands up sits on."""
    times = np.array([person.begin_N[0], person.begin_N[0] + person.seconds_N[0]])
    low = body_pose(person.take(np.zeros(2, dtype=np.int64)), times).joints_NJ3[:, 3]
    lowest = low[int(low[:, 2].argmin())]
    stands = float(standing_height(person)[0] - lowest[2]) < 0.3 * float(leg_length(person)[0])
    if stands:
        return []
    sketch = Sketch()
    top = float(lowest[2]) - 0.14 * float(person.size_N[0])
    place = T_stage_person @ np.array([lowest[0] - 0.02, lowest[1], 0.5 * top, 1.0])
    turn = T_stage_person[:3, :3]
    sketch.box(place[:3], (0.2, 0.24, 0.5 * top), vivid(generator), rotation=turn)
    return [sketch]


def facing_camera(distance: float, height: float, aim: float, aside: float = 0.0) -> Floats:
    """T_stage_camera of a level camera `distance` before the origin that tilts to a height."""
    ahead = np.array([distance, -aside, aim - height])
    ahead /= np.linalg.norm(ahead)
    right = np.cross(ahead, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    turn = np.stack([right, np.cross(ahead, right), ahead], axis=1)
    return pose(turn, (-distance, aside, height))


def in_camera(points: Floats, T_stage_camera: Floats) -> Floats:
    """Points [..., 3] of the stage in the camera's frame: x right, y down, z ahead."""
    inverse = invert(T_stage_camera)
    return np.asarray(points @ inverse[:3, :3].T + inverse[:3, 3])


def _box_entry(start: Floats, ray: Floats) -> Floats:
    """Share of the way at which rays [T, P, J, 3] enter unit boxes; infinite where they miss."""
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = ((sign - start[:, :, None]) / ray for sign in (-1.0, 1.0))
    enter = np.minimum(first, second).max(axis=3)
    leave = np.maximum(first, second).min(axis=3)
    return np.where(enter < leave, enter, np.inf)


def _ball_entry(start: Floats, ray: Floats) -> Floats:
    """Share of the way at which rays [T, P, J, 3] enter unit balls; infinite where they miss."""
    a = (ray**2).sum(axis=3)
    b = (ray @ start[..., None])[..., 0]
    c = ((start**2).sum(axis=2) - 1.0)[:, :, None]
    inside = b * b - a * c
    return np.where(inside > 0.0, (-b - np.sqrt(np.maximum(inside, 0.0))) / a, np.inf)


@lru_cache(maxsize=1)
def _empty() -> World:
    """Level ground without anything on it."""
    none = np.zeros((0, 2))
    ground = Ground(
        np.zeros((1, 3)),
        np.zeros((1, 4)),
        5.4,
        2.0,
        np.zeros(1),
        none,
        np.zeros((2, 13), dtype=np.uint8),
    )
    nothing = np.zeros(0, dtype=np.int64)
    starts, entries, tops = sort_entries(nothing, nothing, np.zeros(0))
    return World(
        shapes_P16=np.zeros((0, 16)),
        balls_P4=np.zeros((0, 4)),
        moves_P6=np.zeros((0, 6)),
        moving_P=np.zeros(0, dtype=np.bool_),
        look_P12=np.zeros((0, 12)),
        object_P=nothing,
        label_O=np.zeros(0, dtype=np.uint8),
        starts_C=starts,
        entries_E=entries,
        tops_IJ=tops,
        **ground_fields(ground),
        ceiling=0.0,
        sun_3=np.array([0.0, 0.0, 1.0]),
        light=np.zeros(16),
        tints=np.zeros((5, 3)),
    )
