"""How each public function of geometry is tried."""

from __future__ import annotations

import numpy as np
import torch

from sensorfusion.geometry import (
    arrays,
    bev,
    clock,
    occlusion,
    poses,
    projection,
    rotation,
    segments,
    sweeps,
    view,
    voxels,
)
from sensorfusion.geometry import cameras as lenses
from tests.fuzz.cases import Arguments, Case, finite_as_before
from tests.fuzz.raster_cases import RASTER_CASES
from tests.geometry.rigs import COEFFICIENTS, FORWARD

WITHOUT = {
    "camera_kernels": "parts of kernels",
    "scratch.scratch": "memory for kernels, not for users",
    "cameras.Lens": "an enumeration",
    "clock.ClockKind": "an enumeration",
    "cameras.Cameras": "made by `cameras`, which checks",
    "projection.Projection": "a result",
    "voxels.Voxels": "a result",
    "unique.Groups": "a result",
    "unique.Unique": "a result",
    "sweeps.Sweep": "checked by `aggregate`",
    "bev.bev_ids_reference": "an oracle",
    "cameras.distort_reference": "an oracle",
    "occlusion.hidden_reference": "an oracle",
    "poses.rigidity_reference": "an oracle",
    "projection.project_reference": "an oracle",
    "segments.segment_sum_reference": "an oracle",
    "segments.segment_max_reference": "an oracle",
    "sweeps.aggregate_reference": "an oracle",
    "unique.unique_keys_reference": "an oracle",
    "unique.unique_keys": "a part of others, which check: its keys are trusted",
    "voxels.voxelise_reference": "an oracle",
}
GRID = bev.BevGrid((-20.0, -10.0), (20.0, 10.0), 0.5)
VOXELS = voxels.VoxelGrid((0.5, 0.5, 0.25))


def rigid(rng: np.random.Generator) -> np.ndarray:
    return poses.pose(rotation.rotation_xyz(rng.uniform(-180, 180, 3)), rng.normal(0, 3, 3))


def points(rng: np.random.Generator) -> np.ndarray:
    count = int(rng.choice([0, 1, 7, 60]))
    return rng.uniform(-15, 15, (count, 4)).astype(np.float32)


def rig_of(intrinsics, sizes, distortion, lens=lenses.Lens.BROWN_CONRADY) -> lenses.Cameras:
    return lenses.cameras(intrinsics, sizes, lens, distortion)


def rig_arguments(rng: np.random.Generator) -> Arguments:
    intrinsics = np.zeros((2, 3, 4))
    intrinsics[:, 0, 0], intrinsics[:, 1, 1] = rng.uniform(30, 100, (2, 2))
    intrinsics[:, :2, 2], intrinsics[:, 2, 2] = (80.0, 45.0), 1.0
    distortion = np.tile(COEFFICIENTS[lenses.Lens.BROWN_CONRADY], (2, 1))
    return {"intrinsics": intrinsics, "sizes": np.array([160, 90]), "distortion": distortion}


def described(arguments: Arguments, found: lenses.Cameras) -> None:
    for numbers in (found.linear_K33, found.offsets_K3, found.distortion_K8):
        assert np.isfinite(numbers).all()
    assert not np.isnan(found.reach_K).any()


def projected_arguments(rng: np.random.Generator) -> Arguments:
    transforms = np.stack([poses.pose(FORWARD), rigid(rng)])
    return {"points_NC": points(rng), "transforms": transforms, **rig_arguments(rng)}


def project(points_NC, transforms, intrinsics, sizes, distortion):
    return projection.project(
        points_NC, rig_of(intrinsics, sizes, distortion), transforms, dtype=np.float64
    )


def project_pairs(points_NC, transforms, intrinsics, sizes, distortion):
    return projection.project_pairs(
        points_NC, rig_of(intrinsics, sizes, distortion), transforms, dtype=np.float64
    )


def expected_projection(arguments: Arguments) -> projection.Projection:
    rig = rig_of(*(arguments[name] for name in ("intrinsics", "sizes", "distortion")))
    return projection.project_reference(arguments["points_NC"], rig, arguments["transforms"])


def as_projected_by_reference(arguments: Arguments, found: projection.Projection) -> None:
    expected = expected_projection(arguments)
    np.testing.assert_array_equal(found.visible_KN, expected.visible_KN)
    seen = expected.visible_KN
    np.testing.assert_allclose(found.uv_KN2[seen], expected.uv_KN2[seen], atol=1e-3)
    np.testing.assert_allclose(found.depth_KN[seen], expected.depth_KN[seen], rtol=1e-5)


def as_paired_by_reference(arguments: Arguments, found: projection.Pairs) -> None:
    expected = expected_projection(arguments)
    camera, point = expected.visible_KN.nonzero()
    np.testing.assert_array_equal(found.camera_E, camera)
    np.testing.assert_array_equal(found.point_E, point)
    np.testing.assert_allclose(found.uv_E2, expected.uv_KN2[camera, point], atol=1e-3)


def pair_arguments(rng: np.random.Generator) -> Arguments:
    return {
        "camera_E": np.repeat([0, 1], 20),
        "uv_E2": rng.uniform(0, (160, 90), (40, 2)).astype(np.float32),
        "depth_E": rng.uniform(1, 40, 40).astype(np.float32),
    }


def pairs_of(camera_E, uv_E2, depth_E) -> projection.Pairs:
    return projection.Pairs(np.arange(len(depth_E)), camera_E, uv_E2, depth_E)


RIG = rig_of(**rig_arguments(np.random.default_rng(0)))


def as_hidden_by_reference(arguments: Arguments, found: np.ndarray) -> None:
    expected = occlusion.hidden_reference(pairs_of(**arguments), RIG, occlusion.DepthBuffer())
    np.testing.assert_array_equal(found, expected)


def as_binned_by_reference(arguments: Arguments, found: np.ndarray) -> None:
    expected = bev.bev_ids_reference(arguments["points_NC"], GRID)
    np.testing.assert_array_equal(found, expected)


def as_voxelised_by_reference(arguments: Arguments, found: voxels.Voxels) -> None:
    expected = voxels.voxelise_reference(arguments["points_NC"], VOXELS, arguments["item_N"])
    for name in ("coordinates_V4", "inverse_N", "first_V", "counts_V"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def cloud_arguments(rng: np.random.Generator) -> Arguments:
    cloud = points(rng)
    return {"points_NC": cloud, "item_N": rng.integers(0, 3, len(cloud))}


def segment_arguments(rng: np.random.Generator) -> Arguments:
    count = int(rng.choice([0, 1, 9, 40]))
    return {
        "features_ND": torch.from_numpy(rng.normal(size=(count, 3)).astype(np.float32)),
        "ids_N": torch.from_numpy(rng.integers(-1, 5, count)),
        "size": 5,
    }


def as_summed_by_reference(arguments: Arguments, found: torch.Tensor) -> None:
    features, ids = arguments["features_ND"].double().numpy(), arguments["ids_N"].numpy()
    expected = segments.segment_sum_reference(features, ids, arguments["size"])
    np.testing.assert_allclose(found.double(), expected, rtol=1e-2, atol=1e-2)


def as_averaged_by_reference(arguments: Arguments, found: torch.Tensor) -> None:
    counts = segments.segment_counts(arguments["ids_N"], arguments["size"]).clamp(min=1)
    as_summed_by_reference(arguments, found.double() * counts[:, None])


def as_maximal_by_reference(arguments: Arguments, found: torch.Tensor) -> None:
    features, ids = arguments["features_ND"].double().numpy(), arguments["ids_N"].numpy()
    expected = segments.segment_max_reference(features, ids, arguments["size"])
    np.testing.assert_array_equal(found.double(), expected)


def counted(arguments: Arguments, found: torch.Tensor) -> None:
    assert found.shape == (arguments["size"],)
    assert int(found.sum()) == int((arguments["ids_N"] >= 0).sum())


def sweep_arguments(rng: np.random.Generator) -> Arguments:
    cloud = points(rng)[:9]
    return {
        "points_NC": cloud,
        "start": rigid(rng),
        "end": rigid(rng),
        "fraction_N": rng.uniform(0, 1, len(cloud)).astype(np.float32),
        "time": -0.1,
        "end_time": -0.05,
        "min_range": 1.0,
    }


def sweep_of(arguments: Arguments) -> sweeps.Sweep:
    end = (arguments["end"], arguments["end_time"])
    return sweeps.Sweep(
        arguments["points_NC"], arguments["start"], arguments["time"], end, arguments["fraction_N"]
    )


def as_merged_by_reference(arguments: Arguments, found: np.ndarray) -> None:
    with np.errstate(all="ignore"):
        expected = sweeps.aggregate_reference([sweep_of(arguments)], arguments["min_range"])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def rigid_result(arguments: Arguments, found: np.ndarray) -> None:
    poses.require_rigid(found, "the result")


def is_rotation(arguments: Arguments, found: np.ndarray) -> None:
    np.testing.assert_allclose(found @ np.swapaxes(found, -1, -2), np.eye(3) + 0 * found, atol=1e-6)


def same_turn(arguments: Arguments, found: np.ndarray) -> None:
    again = rotation.rotation_from_quaternion(found)
    np.testing.assert_allclose(again, arguments["rotation_33"], atol=3e-3)


def of_rotation(arguments: Arguments, found: np.ndarray) -> None:
    angle = np.linalg.norm(found)
    again = rotation.rotation_about(found, angle) if angle > 0 else np.eye(3)
    np.testing.assert_allclose(again, arguments["rotation_33"], atol=3e-3)


def turned_back(arguments: Arguments, found: np.ndarray) -> None:
    transform = arguments["transform"]
    np.testing.assert_allclose(found @ transform, np.eye(4) + 0 * found, atol=1e-3, rtol=1e-3)


def clock_of(kind: str, times_T) -> clock.Clock:
    return clock.Clock(clock.ClockKind(kind), times_T)


def selected(mask_E: np.ndarray) -> projection.Pairs:
    return pairs_of(**pair_arguments(np.random.default_rng(0))).select(mask_E)


CASES = {
    "arrays.finite": Case(
        lambda values: arrays.finite(values, "numbers", (3, 4), stacked=True),
        lambda rng: {"values": rng.normal(size=(2, 3, 4))},
    ),
    "bev.BevGrid": Case(
        bev.BevGrid, lambda rng: {"low": (-20.0, -10.0), "high": (20.0, 10.0), "step": 0.5}
    ),
    "bev.bev_ids": Case(
        lambda points_NC: bev.bev_ids(points_NC, GRID),
        lambda rng: {"points_NC": points(rng)},
        as_binned_by_reference,
    ),
    "bev.bev_centres": Case(
        lambda low, high, step: bev.bev_centres(bev.BevGrid(low, high, step)),
        lambda rng: {"low": (-20.0, -10.0), "high": (20.0, 10.0), "step": 0.5},
    ),
    "bev.bev_ids_of_raster": Case(
        lambda height, width, affine: bev.bev_ids_of_raster(height, width, affine, GRID),
        lambda rng: {
            "height": 6,
            "width": 9,
            "affine": np.array([[1.0, 0.1, -3.0], [0.0, -1.0, 5.0], [0.0, 0.0, 1.0]]),
        },
    ),
    "cameras.cameras": Case(rig_of, rig_arguments, described),
    "cameras.resizing": Case(
        lenses.resizing, lambda rng: {"size": (1600.0, 900.0), "new_size": (800.0, 450.0)}
    ),
    "cameras.cropping": Case(lenses.cropping, lambda rng: {"left": 3.0, "top": 7.0}),
    "cameras.mirroring": Case(lenses.mirroring, lambda rng: {"width": 1600}),
    "clock.Clock absolute": Case(
        clock_of,
        lambda rng: {"kind": "absolute", "times_T": np.arange(5)},
        spare={
            ("kind", n): "an enumeration"
            for n in ("''", "'nonsense'", repr("../\0"), repr("é" * 300))
        },
    ),
    "clock.Clock fraction": Case(
        lambda times_T: clock_of("fraction", times_T),
        lambda rng: {"times_T": np.sort(rng.uniform(0, 1, 5))},
    ),
    "occlusion.DepthBuffer": Case(
        occlusion.DepthBuffer,
        lambda rng: {"cell": 8.0, "reach": 4, "absolute": 0.5, "relative": 0.05},
    ),
    "occlusion.hidden": Case(
        lambda **pairs: occlusion.hidden(pairs_of(**pairs), RIG, occlusion.DepthBuffer()),
        pair_arguments,
        as_hidden_by_reference,
    ),
    "poses.pose": Case(
        poses.pose,
        lambda rng: {"rotation_33": rigid(rng)[:3, :3], "translation_3": rng.normal(size=3)},
    ),
    "poses.pose_from_quaternion": Case(
        poses.pose_from_quaternion,
        lambda rng: {"wxyz_4": rng.normal(size=4), "translation_3": rng.normal(size=3)},
        rigid_result,
    ),
    "poses.compose": Case(
        lambda first, second: poses.compose(first, second),
        lambda rng: {"first": rigid(rng), "second": np.stack([rigid(rng), rigid(rng)])},
    ),
    "poses.invert": Case(poses.invert, lambda rng: {"transform": rigid(rng)}, turned_back),
    "poses.require_rigid": Case(
        lambda transform: poses.require_rigid(transform, "T"),
        lambda rng: {"transform": np.stack([rigid(rng), rigid(rng)])},
    ),
    "poses.interpolate": Case(
        poses.interpolate,
        lambda rng: {"start": rigid(rng), "end": rigid(rng), "fraction": 0.3},
        rigid_result,
    ),
    "projection.Pairs": Case(selected, lambda rng: {"mask_E": rng.uniform(size=40) < 0.5}),
    "projection.project": Case(project, projected_arguments, as_projected_by_reference),
    "projection.project_pairs": Case(project_pairs, projected_arguments, as_paired_by_reference),
    "rotation.rotation_about": Case(
        rotation.rotation_about,
        lambda rng: {"axis_3": rng.normal(size=3), "radians": 0.7},
        is_rotation,
    ),
    "rotation.rotation_xyz": Case(
        rotation.rotation_xyz, lambda rng: {"degrees_3": rng.uniform(-180, 180, 3)}, is_rotation
    ),
    "rotation.rotation_from_quaternion": Case(
        rotation.rotation_from_quaternion,
        lambda rng: {"wxyz_4": rng.normal(size=(2, 4))},
        is_rotation,
    ),
    "rotation.rotation_vector": Case(
        rotation.rotation_vector, lambda rng: {"rotation_33": rigid(rng)[:3, :3]}, of_rotation
    ),
    "rotation.quaternion_from_rotation": Case(
        rotation.quaternion_from_rotation,
        lambda rng: {"rotation_33": rigid(rng)[:3, :3]},
        same_turn,
    ),
    "segments.segment_sum": Case(segments.segment_sum, segment_arguments, as_summed_by_reference),
    "segments.segment_mean": Case(
        segments.segment_mean, segment_arguments, as_averaged_by_reference
    ),
    "segments.segment_max": Case(segments.segment_max, segment_arguments, as_maximal_by_reference),
    "segments.segment_counts": Case(
        segments.segment_counts,
        lambda rng: {k: v for k, v in segment_arguments(rng).items() if k != "features_ND"},
        counted,
    ),
    "sweeps.aggregate": Case(
        lambda min_range, **sweep: sweeps.aggregate([sweep_of(sweep)], min_range),
        sweep_arguments,
        as_merged_by_reference,
    ),
    "view.View": Case(
        view.View,
        lambda rng: {"low": -0.5, "high": 0.5, "closed": True, "min_depth": 1.0, "depth_axis": 0},
    ),
    "voxels.VoxelGrid": Case(
        voxels.VoxelGrid,
        lambda rng: {
            "steps": (0.5, 0.5, 0.25),
            "low": (-9.0, -9.0, -3.0),
            "high": (9.0, 9.0, 3.0),
        },
    ),
    "voxels.voxelise": Case(
        lambda points_NC, item_N: voxels.voxelise(points_NC, VOXELS, item_N),
        cloud_arguments,
        as_voxelised_by_reference,
    ),
    "voxels.devoxelise": Case(
        voxels.devoxelise,
        lambda rng: {
            "features_VD": torch.from_numpy(rng.normal(size=(5, 3)).astype(np.float32)),
            "inverse_N": torch.from_numpy(rng.integers(-1, 5, 8)),
        },
        lambda arguments, found: finite_as_before(arguments, found),
    ),
    **RASTER_CASES,
}
