"""A scene: a block and all that moves in it, as a world at any time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sensorfusion.geometry.poses import invert
from sensorfusion.simulation.body import People, crowd, pose
from sensorfusion.simulation.drive import Drive
from sensorfusion.simulation.ground import HALF_LENGTH, HALF_WIDTH, Ground
from sensorfusion.simulation.light import Light, make_light
from sensorfusion.simulation.people import segment_poses
from sensorfusion.simulation.shapes import Shapes, pack
from sensorfusion.simulation.surface import draw_tints
from sensorfusion.simulation.town import SECONDS, build_town
from sensorfusion.simulation.track import Track
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
REACH = 0.12  # seconds around its moment for which a world's moving shapes are listed
STEP = 1e-3  # seconds, of the differences that give velocities


@dataclass(frozen=True, eq=False)
class Scene:
    """One scene, in block axes; make it with `make_scene`.

    Args:
        T_world_block: where the block lies in the world, float64 [4, 4].
        label_O: uint8 class of every object. tracks: where each is at any time.
        owner_O: int64, the first object of the same thing: what instances are told apart by. It
            is another object only for the segments of a pedestrian.
        segment_O2: (person, segment) of pedestrians' objects, (-1, 0) of others.
        people: who they are. moving_O: the objects whose place changes.
        standing: the world of all that stands; the rows of what moves are empty.
    """

    seed: int
    number: int
    ground: Ground
    drive: Drive
    light: Light
    shapes: Shapes
    label_O: npt.NDArray[np.uint8]
    tracks: tuple[Track, ...]
    owner_O: npt.NDArray[np.int64]
    segment_O2: npt.NDArray[np.int64]
    people: People
    moving_O: npt.NDArray[np.int64]
    T_world_block: Floats
    standing: World
    entries: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]

    @property
    def seconds(self) -> float:
        """Length of the scene."""
        return SECONDS

    def object_pose(self, number: int, seconds: float) -> Floats:
        """T_block_object, float64 [4, 4]."""
        return np.asarray(self.object_poses(np.array([number]), np.array([seconds]))[0])

    def object_poses(self, number_K: npt.NDArray[np.int64], seconds_K: Floats) -> Floats:
        """T_block_object of K objects at a time each, float64 [K, 4, 4]."""
        owner, time, where = distinct(self.owner_O[number_K], seconds_K)
        tracks = [self.tracks[number] for number in owner]
        poses = np.stack(
            [track.pose(self.ground, self.drive, t) for track, t in zip(tracks, time, strict=True)]
        )
        out = poses[where]
        person = self.segment_O2[owner, 0]
        walking = np.nonzero(person >= 0)[0]
        if len(walking):
            row = np.full(len(person), -1)
            row[walking] = np.arange(len(walking))
            bodies = self.people.take(person[walking])
            posed = pose(bodies, time[walking], follow=True)
            local = segment_poses(posed, bodies.bones_NJ3)
            mine = np.nonzero(row[where] >= 0)[0]
            segment = self.segment_O2[number_K[mine], 1]
            out[mine] = out[mine] @ local[row[where][mine], segment]
        return np.asarray(out)

    def ego_pose(self, seconds: float) -> Floats:
        """T_block_ego, float64 [4, 4]."""
        return self.drive.pose(self.ground, seconds)

    def at(self, seconds: float) -> World:
        """The world at a moment, for rays that leave within `REACH` seconds of it."""
        rows_M = np.nonzero(self.standing.moving_P)[0]
        world = self.standing
        poses_O, moves_O6 = self._motion(seconds)
        owner = np.searchsorted(self.moving_O, self.shapes.object_P[rows_M])
        centre, rotation = posed(self.shapes, rows_M, poses_O[owner])
        maps, moves = world.shapes_P16.copy(), world.moves_P6.copy()
        balls = world.balls_P4.copy()
        balls[rows_M] = balls_around(centre, self.shapes, rows_M)
        maps[rows_M] = unit_maps(centre, rotation, self.shapes, rows_M)
        moves[rows_M] = moves_O6[owner]
        low, high = bounds(centre, rotation, self.shapes, rows_M)
        # Parts away from the axis of a turning object move on arcs, by less than this.
        arm = np.linalg.norm(centre[:, :2] - moves[rows_M, 4:], axis=1)
        arm += np.linalg.norm(self.shapes.half_P3[rows_M], axis=1)
        speed = np.abs(moves[rows_M, :3])
        speed[:, :2] += (np.abs(moves[rows_M, 3]) * arm)[:, None]
        shift = REACH * speed
        inside = (np.abs(centre[:, 0]) < HALF_LENGTH) & (np.abs(centre[:, 1]) < HALF_WIDTH)
        there = cell_entries(
            low[inside] - shift[inside], high[inside] + shift[inside], rows_M[inside]
        )
        joined = [np.concatenate(pair) for pair in zip(self.entries, there, strict=True)]
        starts, entries, tops = sort_entries(joined[0], joined[1], joined[2])
        return world._replace(
            shapes_P16=maps,
            balls_P4=balls,
            moves_P6=moves,
            starts_C=starts,
            entries_E=entries,
            tops_IJ=tops,
            ceiling=float(max(tops.max(), world.ground_IJ.max())) + 0.1,
        )

    def instances(self, object_N: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """Numbers of things, int32 [N]: 1 + the owner of the object, 0 where it is -1."""
        return np.where(object_N >= 0, self.owner_O[object_N] + 1, 0).astype(np.int32)

    def changes(self, number_K: npt.NDArray[np.int64], start_K: Floats, end_K: Floats) -> Floats:
        """What moves points of K objects from one time to another, block axes: [K, 4, 4]."""
        before = self.object_poses(number_K, start_K)
        return np.asarray(self.object_poses(number_K, end_K) @ invert(before))

    def _motion(self, seconds: float) -> tuple[Floats, Floats]:
        """Poses [O, 4, 4] of what moves, and velocity, yaw rate and pivot [O, 6]."""
        count = len(self.moving_O)
        times = np.repeat(seconds + np.array([-STEP, 0.0, STEP]), count)
        poses = self.object_poses(np.tile(self.moving_O, 3), times).reshape(3, count, 4, 4)
        before, now, after = poses
        moves = np.zeros((count, 6))
        moves[:, :3] = (after[:, :3, 3] - before[:, :3, 3]) / (2 * STEP)
        turn = after[:, :3, :3] @ np.swapaxes(before[:, :3, :3], 1, 2)
        moves[:, 3] = (turn[:, 1, 0] - turn[:, 0, 1]) / (4 * STEP)
        moves[:, 4:] = now[:, :2, 3]
        return now, moves


def make_scene(seed: int, number: int) -> Scene:
    """The scene that a seed and a number name: always the same."""
    town = build_town(seed, number)
    own = np.random.default_rng([seed, number, 1])
    light = make_light(own)
    shapes = pack(town.parts)
    segments = np.array(town.segments)
    moving = np.array([track.moves for track in town.tracks]) | (segments[:, 0] >= 0)
    poses = np.stack([track.pose(town.ground, town.drive, 0.0) for track in town.tracks])
    labels = np.array(town.labels, dtype=np.uint8)
    standing, entries = _standing(
        shapes, moving, poses, labels, town.ground, light, draw_tints(own)
    )
    turn = own.uniform(0, 2 * np.pi)
    place = np.eye(4)
    place[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    place[:3, 3] = (*own.uniform(300, 2000, 2), 0.0)
    return Scene(
        seed,
        number,
        town.ground,
        town.drive,
        light,
        shapes,
        labels,
        tuple(town.tracks),
        np.array(town.owners),
        segments,
        crowd(town.people),
        np.nonzero(moving)[0],
        place,
        standing,
        entries,
    )


def distinct(
    number_K: npt.NDArray[np.int64], seconds_K: Floats
) -> tuple[npt.NDArray[np.int64], Floats, npt.NDArray[np.int64]]:
    """Numbers and times of the pairs that occur, in order, and the pair [K] of every one."""
    # Complex numbers are ordered as pairs, and sorted far faster than columns of a matrix.
    pairs, where = np.unique(number_K + 1j * seconds_K, return_inverse=True)
    return pairs.real.astype(np.int64), pairs.imag, where.reshape(-1)


def posed(shapes: Shapes, rows: npt.NDArray[np.int64], poses_P44: Floats) -> tuple[Floats, Floats]:
    """Centres [P, 3] and rotations [P, 3, 3] of shapes whose objects have poses."""
    turn = poses_P44[:, :3, :3]
    centre = np.einsum("pij,pj->pi", turn, shapes.centre_P3[rows]) + poses_P44[:, :3, 3]
    return centre, turn @ shapes.rotation_P33[rows]


def _standing(
    shapes: Shapes,
    moving_O: npt.NDArray[np.bool_],
    poses_O44: Floats,
    labels_O: npt.NDArray[np.uint8],
    ground: Ground,
    light: Light,
    tints: Floats,
) -> tuple[World, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]]:
    every = np.arange(len(shapes))
    centre, rotation = posed(shapes, every, poses_O44[shapes.object_P])
    moving = moving_O[shapes.object_P]
    rows = every[~moving]
    low, high = bounds(centre[rows], rotation[rows], shapes, rows)
    entries = cell_entries(low, high, rows)
    starts, listed, tops = sort_entries(*entries)
    world = World(
        shapes_P16=unit_maps(centre, rotation, shapes, every),
        balls_P4=balls_around(centre, shapes, every),
        moves_P6=np.zeros((len(shapes), 6)),
        moving_P=moving,
        look_P12=shapes.look_P12,
        object_P=shapes.object_P,
        label_O=labels_O,
        starts_C=starts,
        entries_E=listed,
        tops_IJ=tops,
        **ground_fields(ground),
        ceiling=0.0,
        sun_3=light.sun_3,
        light=light.table_16,
        tints=tints,
    )
    return world, entries
