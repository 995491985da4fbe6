"""Resampling, normalisation and augmentations against recorded values of CMC-CMKM."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from sensorfusion.datasets.utd_mhad import UtdMhad, read_inertial, read_skeleton
from sensorfusion.geometry.clock import Clock
from sensorfusion.sensors.imu import GRAVITY_DEGREES, GravityDegrees, ImuWindow
from sensorfusion.sensors.imu_augment import (
    PermuteSegments,
    ShuffleChannels,
)
from sensorfusion.sensors.resampling import CropResample, Resample, fourier_resample
from sensorfusion.sensors.skeleton import AnchorFirstFrame, SkeletonWindow, anchor_first_frame
from sensorfusion.sensors.skeleton_augment import (
    RotateSkeleton,
    ScaleSkeleton,
    ShearSkeleton,
)
from sensorfusion.sensors.transform import apply_all

DOUBLE = {"rtol": 0.0, "atol": 1e-9}
SINGLE = {"rtol": 1e-5, "atol": 1e-5}
UNUSED = np.random.default_rng(0)


@pytest.fixture(scope="module")
def folder(golden_root):
    return golden_root / "utd_mhad_preprocessing"


@pytest.fixture(scope="module")
def settings(folder):
    return json.loads((folder / "manifest.json").read_text())["hyper_parameters"]


@pytest.fixture(scope="module")
def recordings(data_root) -> Path:
    return data_root / "utd-mhad"


def test_every_file_of_the_manifest_is_tested(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest["files"]) == {
        "clips.safetensors",
        "resample_lengths.safetensors",
        "augmentations.safetensors",
    }


def test_resampling_of_odd_even_shorter_and_longer_windows(folder, settings):
    values = load_file(folder / "resample_lengths.safetensors")
    lengths = [name.removeprefix("in_") for name in values if name.startswith("in_")]
    assert lengths
    for length in lengths:
        out = fourier_resample(values[f"in_{length}"], settings["steps"])
        np.testing.assert_allclose(out, values[f"out_{length}"], **DOUBLE)


def test_clips_in_double_precision(folder, settings, recordings):
    values = load_file(folder / "clips.safetensors")
    steps, pair = settings["steps"], tuple(settings["distance_joints"])
    for clip in settings["clips"]:
        inertial = read_inertial(recordings / "Inertial" / f"{clip}_inertial.mat")
        resampled = fourier_resample(inertial, steps)
        np.testing.assert_allclose(resampled, values[f"{clip}.inertial_f64"], **DOUBLE)
        joints = read_skeleton(recordings / "Skeleton" / f"{clip}_skeleton.mat")
        joints, scale = anchor_first_frame(joints, settings["anchor_joint"], pair)
        np.testing.assert_allclose(scale, values[f"{clip}.scale"][0], **DOUBLE)
        resampled = fourier_resample(joints, steps).transpose(1, 2, 0)
        np.testing.assert_allclose(resampled, values[f"{clip}.skeleton_f64"], **DOUBLE)


def test_clips_through_the_public_path(folder, settings, recordings):
    """Data set and transforms, as a config lists them, give the network's recorded input."""
    values = load_file(folder / "clips.safetensors")
    dataset = UtdMhad(recordings, subjects=range(1, 9), sensors=("imu", "skeleton"))
    position = {clip.name: index for index, clip in enumerate(dataset.clips)}
    anchored = AnchorFirstFrame(
        anchor=settings["anchor_joint"], distance=tuple(settings["distance_joints"])
    )
    both = Resample(sensors=("imu", "skeleton"), steps=settings["steps"])
    for clip in settings["clips"]:
        sample = dataset[position[clip]]
        assert sample.id == clip
        sample = apply_all((GravityDegrees(), anchored, both), sample, UNUSED)
        readings = sample.frames[0].readings
        inertial = readings["imu"].channels.T
        np.testing.assert_allclose(inertial, values[f"{clip}.inertial"], **SINGLE)
        joints = readings["skeleton"].joints.transpose(2, 0, 1)
        np.testing.assert_allclose(joints, values[f"{clip}.skeleton"], **SINGLE)
        assert joints.dtype == inertial.dtype == np.float32


def skeleton_window(joints_3TJ: np.ndarray) -> SkeletonWindow:
    joints = joints_3TJ.transpose(1, 2, 0).copy()
    return SkeletonWindow(
        clock=Clock.fraction(len(joints)), axes="camera", unit="normalised", joints=joints
    )


@pytest.fixture(scope="module")
def draws(folder):
    return load_file(folder / "augmentations.safetensors")


def released_map(kind: type, **changes):
    """A linear map about joint 0 of every frame, as the released code."""
    return kind(anchor=0, every_frame=True, **changes)


@pytest.mark.parametrize(
    ("augmentation", "draw", "out"),
    [
        (released_map(RotateSkeleton), "rotation_deg", "rotation_out"),
        (released_map(ScaleSkeleton), "scale", "scale_out"),
        (ShearSkeleton(), "shear", "shear_out"),
    ],
)
def test_recorded_skeleton_maps(draws, augmentation, draw, out):
    window = skeleton_window(draws["skeleton_in"])
    mapped = augmentation.apply(window, draws[draw])
    np.testing.assert_allclose(mapped.joints.transpose(2, 0, 1), draws[out], **SINGLE)


def test_recorded_crop(draws):
    window = skeleton_window(draws["skeleton_in"])
    start, length = (int(n) for n in draws["crop_start_length"])
    cropped = CropResample(sensors=("skeleton",)).apply(window, (start, length))
    np.testing.assert_allclose(cropped.joints.transpose(2, 0, 1), draws["crop_out"], **SINGLE)


def imu_window(channels_6T: np.ndarray) -> ImuWindow:
    channels = channels_6T.T.copy()
    return ImuWindow(
        clock=Clock.fraction(len(channels)),
        axes="sensor",
        unit=GRAVITY_DEGREES,
        acceleration=channels[:, :3],
        angular_rate=channels[:, 3:],
    )


def test_recorded_channel_shuffle_of_the_release_shuffles_time(draws):
    window, order = imu_window(draws["inertial_in"]), draws["channel_shuffle_index"]
    shuffled = ShuffleChannels(released_axes=True).apply(window, order)
    np.testing.assert_array_equal(shuffled.channels.T, draws["channel_shuffle_out"])


def test_recorded_permutation_of_the_release_moves_blocks_of_channels(draws):
    """The order of the two blocks was not recorded: exactly one order must give the output."""
    window, permute = imu_window(draws["inertial_in"]), PermuteSegments(released_axes=True)
    outs = [permute.apply(window, np.array(order)).channels.T for order in ((0, 1), (1, 0))]
    assert [np.array_equal(out, draws["permutation_out"]) for out in outs].count(True) == 1
    in_time = PermuteSegments().apply(window, np.array([1, 0])).channels.T
    assert not np.array_equal(in_time, outs[1])
