"""Several lidar sweeps as one cloud: moved by the vehicle's own motion, with a time channel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from sensorfusion.compiled import compiled, inlined
from sensorfusion.errors import DataError
from sensorfusion.geometry.arrays import finite
from sensorfusion.geometry.poses import Pose, interpolate, invert, require_rigid
from sensorfusion.geometry.rotation import rotation_vector

Array = npt.NDArray[Any]
PARTS = 8  # of the points of one sweep, for threads


@dataclass(frozen=True, eq=False)
class Sweep:
    """One turn of a lidar.

    Args:
        points_NC: float32 [N, C >= 3], finite metres in the sensor's frame, then further channels.
        T_reference_sensor: float64 [4, 4], from the sensor (at `time`) to the frame of the result.
        time: seconds relative to the reference's time, negative before it. (nuscenes-devkit's
            time channel has the opposite sign.)
        end: the sensor's pose and time at the end of the turn, for compensating the motion
            during it; then `T_reference_sensor` and `time` are those of its beginning.
        fraction_N: float32 [N] in [0, 1], when in the turn each point was measured; with `end`.
    """

    points_NC: Array
    T_reference_sensor: Pose
    time: float = 0.0
    end: tuple[Pose, float] | None = None
    fraction_N: Array | None = None


def aggregate(sweeps: Sequence[Sweep], min_range: float = 0.0) -> npt.NDArray[np.float32]:
    """Bring sweeps into one frame.

    Args:
        sweeps: of one number of channels C.
        min_range: points nearer than this to their sensor along both x and y (m) are left out,
            as nuscenes-devkit leaves out the vehicle's own roof.

    Returns:
        float32 [M, C + 1]: x, y, z in the reference frame, the further channels, and the time of
        each point (s relative to the reference); in the order of the sweeps and their points.

    Raises:
        DataError: naming the sweep, for wrong shapes or dtypes, poses that are not rigid, points
            or times that are not finite, or fractions outside [0, 1].
    """
    if not 0.0 <= min_range < math.inf:
        raise DataError(
            f"min_range {min_range}", where="aggregate", remedy="give finite metres from 0"
        )
    for number, sweep in enumerate(sweeps):
        _check(sweep, number, sweeps[0].points_NC.shape[1:])
    if not sweeps:
        return np.empty((0, 4), dtype=np.float32)
    _check_poses(sweeps)
    channels = sweeps[0].points_NC.shape[1]
    total = sum(len(sweep.points_NC) for sweep in sweeps)
    merged = np.empty((total, channels + 1), dtype=np.float32)
    used = 0
    for number, sweep in enumerate(sweeps):
        points_NC = np.ascontiguousarray(sweep.points_NC)
        fraction_N, motion = _motion(sweep)
        nearest = float(np.float32(min_range))
        kept, fine = _move(points_NC, fraction_N, motion, nearest, merged[used:])
        if not fine:
            _refuse(sweep, number)
        used += kept
    return merged[:used]


def aggregate_reference(sweeps: Sequence[Sweep], min_range: float = 0.0) -> npt.NDArray[np.float32]:
    """What `aggregate` does, in NumPy."""
    merged = []
    for sweep in sweeps:
        points_NC = sweep.points_NC.astype(np.float64)
        start, end = sweep.T_reference_sensor, sweep.end or (sweep.T_reference_sensor, sweep.time)
        fraction_N = sweep.fraction_N if sweep.fraction_N is not None else np.zeros(len(points_NC))
        moved_N3 = np.empty((len(points_NC), 3))
        for row, fraction in enumerate(fraction_N):
            pose = interpolate(start, end[0], float(fraction))
            moved_N3[row] = pose[:3, :3] @ points_NC[row, :3] + pose[:3, 3]
        time_N = sweep.time + fraction_N.astype(np.float64) * (end[1] - sweep.time)
        far_N = ~(np.abs(sweep.points_NC[:, :2]) < np.float32(min_range)).all(axis=1)
        rows = np.concatenate([moved_N3, points_NC[:, 3:], time_N[:, None]], axis=1)
        merged.append(rows[far_N].astype(np.float32))
    return np.concatenate(merged) if merged else np.empty((0, 4), dtype=np.float32)


def _check(sweep: Sweep, number: int, columns: tuple[int, ...]) -> None:
    where, points = f"sweep {number}", sweep.points_NC
    if points.ndim != 2 or points.shape[1] < 3 or points.dtype != np.float32:
        raise DataError(
            f"points of shape {points.shape} and dtype {points.dtype}",
            where=where,
            remedy="give float32 [N, 3 or more]",
        )
    if points.shape[1:] != columns:
        raise DataError(
            f"{points.shape[1]} channels, the first sweep has {columns[0]}",
            where=where,
            remedy="give all sweeps the same channels",
        )
    if (sweep.end is None) != (sweep.fraction_N is None):
        raise DataError("only one of `end` and `fraction_N`", where=where, remedy="give both")
    fraction_N = sweep.fraction_N
    if fraction_N is not None and (
        fraction_N.shape != points.shape[:1] or fraction_N.dtype.kind != "f"
    ):
        raise DataError(
            f"{len(points)} points, fractions of shape {fraction_N.shape} and {fraction_N.dtype}",
            where=where,
            remedy="give one floating-point fraction per point",
        )
    times = (sweep.time, sweep.end[1] if sweep.end else 0.0)
    if not all(map(math.isfinite, times)):
        raise DataError(f"times {times} that are not finite", where=where, remedy="give seconds")


def _refuse(sweep: Sweep, number: int) -> None:
    """Name the first point that is not finite or not measured during the turn."""
    bad_N = ~np.isfinite(sweep.points_NC[:, :3]).all(axis=1)
    if sweep.fraction_N is not None:
        bad_N |= ~((sweep.fraction_N >= 0) & (sweep.fraction_N <= 1))
    row = int(np.flatnonzero(bad_N)[0])
    fraction = "" if sweep.fraction_N is None else f" with fraction {sweep.fraction_N[row]}"
    raise DataError(
        f"point {row} at {sweep.points_NC[row, :3].tolist()}{fraction} is not finite "
        "or out of range",
        where=f"sweep {number}",
        remedy="leave out points that are not finite; give fractions in [0, 1]",
    )


def _check_poses(sweeps: Sequence[Sweep]) -> None:
    """All at once, which is quicker; one by one to name what is wrong."""
    poses = {f"T_reference_sensor of sweep {k}": s.T_reference_sensor for k, s in enumerate(sweeps)}
    poses |= {f"the end pose of sweep {k}": s.end[0] for k, s in enumerate(sweeps) if s.end}
    if {transform.shape for transform in poses.values()} == {(4, 4)}:
        try:
            return require_rigid(np.stack(list(poses.values())), "poses of sweeps")
        except DataError:
            pass
    for name, transform in poses.items():
        require_rigid(finite(transform, name, (4, 4)), name)


def _motion(sweep: Sweep) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Fractions (none without motion), and start pose, turn, way, start time and duration."""
    motion = np.zeros(20)
    start = sweep.T_reference_sensor
    motion[:12] = start[:3].reshape(-1)
    motion[18] = sweep.time
    if sweep.end is None or sweep.fraction_N is None:
        return np.empty(0, dtype=np.float32), motion
    end, end_time = sweep.end
    motion[12:15] = rotation_vector(invert(start)[:3, :3] @ end[:3, :3])
    motion[15:18] = end[:3, 3] - start[:3, 3]
    motion[19] = end_time - sweep.time
    return np.ascontiguousarray(sweep.fraction_N, dtype=np.float32), motion


@compiled()
def _move(points: Array, fraction: Array, motion: Array, min_range: float, merged: Array) -> Any:
    """Write the points of one sweep that are far enough; says how many, and if all are fine."""
    rows = points.shape[0]
    part = (rows + PARTS - 1) // PARTS
    places = np.zeros(PARTS + 1, dtype=np.int64)
    fine = np.empty(PARTS, dtype=np.bool_)
    for p in numba.prange(PARTS):
        places[p + 1] = _far(points, p * part, min(rows, (p + 1) * part), min_range)
    for p in range(PARTS):
        places[p + 1] += places[p]
    for p in numba.prange(PARTS):
        first, last, own = p * part, min(rows, (p + 1) * part), merged[places[p] : places[p + 1]]
        fine[p] = _move_part(points, fraction, first, last, motion, min_range, own)
    return places[PARTS], bool(fine.all())


@inlined
def _far(points: Array, first: int, last: int, min_range: float) -> int:
    kept = 0
    for i in range(first, last):
        kept += not ((abs(points[i, 0]) < min_range) & (abs(points[i, 1]) < min_range))
    return kept


@inlined
def _move_part(
    points: Array,
    fraction: Array,
    first: int,
    last: int,
    motion: Array,
    min_range: float,
    merged: Array,
) -> bool:
    a, b, c, d, e, f, g, h, p, q, r, s = motion[:12]
    turn, way = motion[12:15], motion[15:18]
    begin, duration = motion[18], motion[19]
    channels, when, place, fine = points.shape[1], 0.0, 0, True
    for i in range(first, last):
        x, y, z = float(points[i, 0]), float(points[i, 1]), float(points[i, 2])
        if (abs(x) < min_range) & (abs(y) < min_range):
            continue
        if fraction.shape[0] > 0:
            when = float(fraction[i])
            fine &= (when >= 0.0) & (when <= 1.0)
            x, y, z = _turned(x, y, z, turn, when)
        fine &= abs(x) + abs(y) + abs(z) < np.inf
        merged[place, 0] = a * x + b * y + c * z + d + when * way[0]
        merged[place, 1] = e * x + f * y + g * z + h + when * way[1]
        merged[place, 2] = p * x + q * y + r * z + s + when * way[2]
        for channel in range(3, channels):
            merged[place, channel] = points[i, channel]
        merged[place, channels] = begin + when * duration
        place += 1
    return fine


@inlined
def _turned(
    x: float, y: float, z: float, turn: Array, fraction: float
) -> tuple[float, float, float]:
    """A point turned by a fraction of an axis times an angle (Rodrigues' formula)."""
    a, b, c = turn[0], turn[1], turn[2]
    angle = math.sqrt(a * a + b * b + c * c)
    if angle == 0.0:
        return x, y, z
    a, b, c = a / angle, b / angle, c / angle
    sine, cosine = math.sin(fraction * angle), math.cos(fraction * angle)
    along = (1.0 - cosine) * (a * x + b * y + c * z)
    return (
        cosine * x + sine * (b * z - c * y) + along * a,
        cosine * y + sine * (c * x - a * z) + along * b,
        cosine * z + sine * (a * y - b * x) + along * c,
    )
