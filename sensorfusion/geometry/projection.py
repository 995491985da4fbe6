"""Points of one sensor in the images of K cameras.

Matrices are composed in float64; the kernel then projects in float32, whose pixels differ from
float64's by less than 0.001.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from sensorfusion.compiled import compiled, inlined
from sensorfusion.errors import DataError
from sensorfusion.geometry.camera_kernels import columns, project_chunk, through_lens
from sensorfusion.geometry.cameras import Cameras, Lens, distort_reference
from sensorfusion.geometry.poses import require_rigid
from sensorfusion.geometry.scratch import scratch
from sensorfusion.geometry.view import WHOLE_IMAGE, View

Array = npt.NDArray[Any]
Packed = tuple[Array, Array, Array, Array, Array, Any, int]
FEW = 2**20  # points times cameras; fewer are projected before a second thread would be awake
CHUNK = 8192  # points; results are written in long rows, and coordinates stay in the cache
LENS_CODES = {Lens.PINHOLE: 0, Lens.BROWN_CONRADY: 1, Lens.FISHEYE: 2}


@dataclass(frozen=True, eq=False)
class Projection:
    """Every point in every camera.

    Args:
        uv_KN2: pixels (u, v), also of points outside the image; NaN behind the camera.
        depth_KN: z in the camera's frame (m).
        visible_KN: bool.
    """

    uv_KN2: Array
    depth_KN: Array
    visible_KN: npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Pairs:
    """The E visible pairs of point and camera, by camera and then by point.

    Args:
        point_E, camera_E: int64 rows of the points and cameras.
        uv_E2: pixels (u, v). depth_E: z in the camera's frame (m).
    """

    point_E: npt.NDArray[np.int64]
    camera_E: npt.NDArray[np.int64]
    uv_E2: Array
    depth_E: Array

    def __len__(self) -> int:
        return len(self.point_E)

    def select(self, mask_E: npt.NDArray[np.bool_]) -> Pairs:
        """Those pairs for which the mask is True.

        Raises:
            DataError: unless the mask is bool [E].
        """
        if mask_E.shape != (len(self),) or mask_E.dtype != np.bool_:
            raise DataError(
                f"{len(self)} pairs, a mask of shape {mask_E.shape} and dtype {mask_E.dtype}",
                where="the choice of pairs",
                remedy="give one bool per pair",
            )
        return Pairs(
            self.point_E[mask_E], self.camera_E[mask_E], self.uv_E2[mask_E], self.depth_E[mask_E]
        )

    def pixels(self) -> npt.NDArray[np.int64]:
        """The nearest pixels (u, v); halves go to the even one, as in SLidR: int64 [E, 2]."""
        return np.rint(self.uv_E2).astype(np.int64)


def project(
    points_NC: Array,
    rig: Cameras,
    T_camera_points_K44: Array,
    view: View = WHOLE_IMAGE,
    dtype: npt.DTypeLike = np.float32,
) -> Projection:
    """Project points into cameras; the dense result.

    Args:
        points_NC: float32 or float64 [N, >= 3], metres; further columns are not read. A point
            with a non-finite coordinate is never visible.
        rig: K cameras.
        T_camera_points_K44: [K, 4, 4] from the frame of the points to that of each camera, at
            the time of its image.
        view: which points count as visible.
        dtype: float32, or float64 for the precision of the reference.

    Raises:
        DataError: for wrong shapes or dtypes, or transforms that are not rigid.
    """
    points = _points(points_NC)
    kind = _dtype(dtype)
    shape = (len(rig), len(points))
    uv_KN2, depth_KN = np.empty((*shape, 2), kind), np.empty(shape, kind)
    visible_KN = np.empty(shape, np.bool_)
    packed = _packed(rig, T_camera_points_K44, view, kind)
    kernel = _project.serial if depth_KN.size < FEW else _project
    kernel(points, *packed, uv_KN2.reshape(-1), depth_KN.reshape(-1), visible_KN.reshape(-1))
    return Projection(uv_KN2, depth_KN, visible_KN)


def project_pairs(
    points_NC: Array,
    rig: Cameras,
    T_camera_points_K44: Array,
    view: View = WHOLE_IMAGE,
    dtype: npt.DTypeLike = np.float32,
) -> Pairs:
    """Project points into cameras; only the visible pairs. Arguments as for `project`."""
    kind = _dtype(dtype)
    packed = _packed(rig, T_camera_points_K44, view, kind)
    points = _points(points_NC)
    parts = (len(rig), -(-len(points) // CHUNK))
    found_KP = scratch("pairs_found", parts, np.int64)
    rows_KPC = scratch("pairs_rows", (*parts, CHUNK), np.int32)
    uvd_KPC3 = scratch("pairs_uvd", (*parts, CHUNK, 3), kind)
    few = len(rig) * len(points) < FEW
    kernel, gather = (_find_pairs.serial, _gather.serial) if few else (_find_pairs, _gather)
    pairs = kernel(points, *packed, found_KP, rows_KPC, uvd_KPC3)
    point_E, camera_E = np.empty(pairs, np.int64), np.empty(pairs, np.int64)
    uv_E2, depth_E = np.empty((pairs, 2), kind), np.empty(pairs, kind)
    gather(found_KP, rows_KPC, uvd_KPC3, point_E, camera_E, uv_E2, depth_E)
    return Pairs(point_E, camera_E, uv_E2, depth_E)


def project_reference(
    points_NC: Array, rig: Cameras, T_camera_points_K44: Array, view: View = WHOLE_IMAGE
) -> Projection:
    """What `project` does, in NumPy and float64 throughout."""
    points_N3 = points_NC[:, :3].astype(np.float64)
    uv, depth, visible = [], [], []
    for camera, T_camera_points in enumerate(np.asarray(T_camera_points_K44, dtype=np.float64)):
        xyz_N3 = points_N3 @ T_camera_points[:3, :3].T + T_camera_points[:3, 3]
        linear = rig.linear_K33[camera]
        shifted_N3 = xyz_N3 + rig.offsets_K3[camera]
        with np.errstate(all="ignore"):
            ideal_N2 = shifted_N3[:, :2] / shifted_N3[:, 2:]
            lens = rig.lenses[camera]
            distorted_N2 = distort_reference(lens, rig.distortion_K8[camera], ideal_N2)
            uv_N2 = distorted_N2 @ linear[:2, :2].T + linear[:2, 2]
            distance_N = np.hypot(*ideal_N2.T)
            if lens is Lens.FISHEYE:
                distance_N = np.arctan(distance_N)
            gate_N = xyz_N3[:, 2] if view.depth_axis is None else points_N3[:, view.depth_axis]
            above = np.greater_equal if view.closed else np.greater
            seen_N = (gate_N > view.min_depth) & (distance_N <= rig.reach_K[camera])
            front_N = shifted_N3[:, 2] > 0
            inside_N = above(uv_N2, view.low) & (uv_N2 < rig.sizes_K2[camera] - view.high)
        uv.append(np.where(front_N[:, None], uv_N2, np.nan))
        depth.append(xyz_N3[:, 2])
        visible.append(seen_N & front_N & inside_N.all(axis=1) & np.isfinite(points_N3).all(axis=1))
    count = (len(rig), len(points_N3))
    return Projection(
        np.reshape(uv, (*count, 2)), np.reshape(depth, count), np.reshape(visible, count)
    )


def _points(points_NC: Array) -> Array:
    if points_NC.ndim != 2 or points_NC.shape[1] < 3 or points_NC.dtype.kind != "f":
        raise DataError(
            f"points of shape {points_NC.shape} and dtype {points_NC.dtype}",
            remedy="give float32 or float64 [N, 3 or more]",
        )
    if points_NC.dtype not in (np.float32, np.float64):
        points_NC = points_NC.astype(np.float32)
    return np.ascontiguousarray(points_NC)


def _dtype(dtype: npt.DTypeLike) -> np.dtype[Any]:
    kind = np.dtype(dtype)
    if kind not in (np.float32, np.float64):
        raise DataError(f"projection in {kind}", remedy="ask for float32 or float64")
    return kind


def _packed(rig: Cameras, transforms: Array, view: View, kind: np.dtype[Any]) -> Packed:
    """What the kernels read of cameras, poses and view, in the precision of the projection."""
    transforms_K44 = np.asarray(transforms)
    if transforms_K44.shape != (len(rig), 4, 4):
        raise DataError(
            f"{len(rig)} cameras, transforms of shape {transforms_K44.shape}",
            where="T_camera_points",
            remedy="give one 4x4 transform per camera: [K, 4, 4]",
        )
    require_rigid(transforms_K44, "T_camera_points")
    lenses = _packed_lenses(rig, view, kind)
    rows_K34 = lenses.linear_K33 @ transforms_K44[:, :3]
    rows_K34[:, :, 3] += lenses.moves_K3
    axis = -1 if view.depth_axis is None else view.depth_axis
    return rows_K34.astype(kind), *lenses.for_kernels, kind.type(view.min_depth), axis


@dataclass(frozen=True, eq=False)
class _Lenses:
    """What does not change with the poses."""

    linear_K33: Array
    moves_K3: Array
    for_kernels: tuple[Array, Array, Array, Array]


@lru_cache(maxsize=16)
def _packed_lenses(rig: Cameras, view: View, kind: np.dtype[Any]) -> _Lenses:
    low = kind.type(view.low)
    bounds_K3 = np.empty((len(rig), 3), dtype=kind)
    bounds_K3[:, 0] = low if view.closed else np.nextafter(low, kind.type(np.inf))
    bounds_K3[:, 1:] = rig.sizes_K2 - view.high
    codes_K = np.array([LENS_CODES[lens] for lens in rig.lenses], dtype=np.int64)
    lenses_K18 = np.empty((len(rig), 18), dtype=kind)
    if codes_K.any():
        lenses_K18[:, :8], lenses_K18[:, 8] = rig.distortion_K8, rig.reach_K
        lenses_K18[:, 9:15] = rig.linear_K33[:, :2].reshape(-1, 6)
        lenses_K18[:, 15:] = bounds_K3
        bounds_K3[codes_K > 0] = (-np.inf, np.inf, np.inf)  # the lens decides
    pinhole_K = codes_K == 0
    linear_K33 = np.where(pinhole_K[:, None, None], rig.linear_K33, np.eye(3))
    moves_K3 = (linear_K33 @ rig.offsets_K3[:, :, None])[:, :, 0]
    moves_K3[:, 2] = 0.0  # the depth is that of the pose
    shifts_K = rig.offsets_K3[:, 2].astype(kind)
    return _Lenses(linear_K33, moves_K3, (shifts_K, bounds_K3, codes_K, lenses_K18))


@compiled()
def _project(
    points: Array,
    rows: Array,
    shifts: Array,
    bounds: Array,
    codes: Array,
    lenses: Array,
    near: float,
    axis: int,
    uv: Array,
    depth: Array,
    visible: Array,
) -> None:
    """Outputs are flat, so that their slices are contiguous."""
    count = points.shape[0]
    for chunk in numba.prange((count + CHUNK - 1) // CHUNK):
        start = chunk * CHUNK
        stop = min(count, start + CHUNK)
        xyz = columns(points, start, stop, rows)
        for k in range(rows.shape[0]):
            first, last = k * count + start, k * count + stop
            out = (uv[2 * first : 2 * last], depth[first:last], visible[first:last])
            project_chunk(xyz, rows[k], shifts[k], bounds[k], near, axis, out)
            if codes[k] != 0:
                through_lens(codes[k], lenses[k], out)


@compiled()
def _find_pairs(
    points: Array,
    rows: Array,
    shifts: Array,
    bounds: Array,
    codes: Array,
    lenses: Array,
    near: float,
    axis: int,
    ends: Array,
    packed_rows: Array,
    packed_uvd: Array,
) -> int:
    """Every camera's part of a chunk packs its pairs at its own place; says how many in all.

    Args:
        ends: the pairs up to and with each part.
    """
    for chunk in numba.prange(ends.shape[1]):
        start = chunk * CHUNK
        size = min(points.shape[0] - start, CHUNK)
        xyz = columns(points, start, start + size, rows)
        uv = np.empty(2 * size, dtype=rows.dtype)
        depth = np.empty(size, dtype=rows.dtype)
        visible = np.empty(size, dtype=np.bool_)
        chosen = np.empty(size, dtype=np.int32)
        for k in range(ends.shape[0]):
            project_chunk(xyz, rows[k], shifts[k], bounds[k], near, axis, (uv, depth, visible))
            if codes[k] != 0:
                through_lens(codes[k], lenses[k], (uv, depth, visible))
            found = _where(visible, chosen)
            for j in range(found):
                i = chosen[j]
                packed_rows[k, chunk, j] = start + i
                packed_uvd[k, chunk, j, 0] = uv[2 * i]
                packed_uvd[k, chunk, j, 1] = uv[2 * i + 1]
                packed_uvd[k, chunk, j, 2] = depth[i]
            ends[k, chunk] = found
    total = 0
    for k in range(ends.shape[0]):
        for chunk in range(ends.shape[1]):
            total += ends[k, chunk]
            ends[k, chunk] = total
    return total


@compiled()
def _gather(
    ends: Array,
    packed_rows: Array,
    packed_uvd: Array,
    point: Array,
    camera: Array,
    uv: Array,
    depth: Array,
) -> None:
    """Move the pairs of all parts together."""
    chunks = ends.shape[1]
    for part in numba.prange(ends.size):
        k, chunk = part // chunks, part % chunks
        first = ends[(part - 1) // chunks, (part - 1) % chunks] if part > 0 else 0
        for j in range(ends[k, chunk] - first):
            e = first + j
            point[e] = packed_rows[k, chunk, j]
            camera[e] = k
            uv[e, 0] = packed_uvd[k, chunk, j, 0]
            uv[e, 1] = packed_uvd[k, chunk, j, 1]
            depth[e] = packed_uvd[k, chunk, j, 2]


@inlined
def _where(visible: Array, chosen: Array) -> int:
    """Rows that are True, in order; writes without asking, since a branch would be mispredicted."""
    found = 0
    for i in range(visible.shape[0]):
        chosen[found] = i
        found += visible[i]
    return found
