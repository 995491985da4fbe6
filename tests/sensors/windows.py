"""Small readings of every kind, for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sensorfusion.geometry.clock import Clock
from sensorfusion.sample import Frame, Reading, Sample
from sensorfusion.sensors.camera import MILLIMETRES, SRGB, CameraImage
from sensorfusion.sensors.camera_prepared import PreparedSuperpixels
from sensorfusion.sensors.camera_surface import BodySurface
from sensorfusion.sensors.gnss import PositionFixes
from sensorfusion.sensors.imu import SI, ImuWindow
from sensorfusion.sensors.lidar import UNIT, PointCloud
from sensorfusion.sensors.optical import L2A, L2A_BANDS
from sensorfusion.sensors.radar import GRD, SENTINEL1_BANDS
from sensorfusion.sensors.raster import DECIBEL, NUMBERS, POWER, REFLECTANCE, Raster
from sensorfusion.sensors.skeleton import SkeletonWindow
from sensorfusion.superpixels.folder import open_or_create
from sensorfusion.superpixels.slic import Slic


def imu(rows: int = 20, seed: int = 0) -> ImuWindow:
    values = np.random.default_rng(seed).normal(size=(rows, 6)).astype(np.float32)
    return ImuWindow(
        clock=Clock.fraction(rows),
        axes="sensor",
        unit=SI,
        source="imu.mat",
        acceleration=values[:, :3],
        angular_rate=values[:, 3:],
    )


def skeleton(rows: int = 20, seed: int = 0) -> SkeletonWindow:
    joints = np.random.default_rng(seed).normal(size=(rows, 20, 3)).astype(np.float32)
    return SkeletonWindow(
        clock=Clock.fraction(rows), axes="camera", unit="m", source="s.mat", joints=joints
    )


def depth(rows: int = 5, height: int = 12, width: int = 16, seed: int = 0) -> CameraImage:
    """A box of depth 2-3 m in rows 3..8 and columns 4..9, no return around it."""
    pixels = np.zeros((rows, height, width, 1), np.uint16)
    draws = np.random.default_rng(seed).integers(2000, 3000, (rows, 6, 6, 1))
    pixels[:, 3:9, 4:10] = draws
    return CameraImage(
        clock=Clock.fraction(rows), axes="pixels", unit=MILLIMETRES, source="d.npz", pixels=pixels
    )


def colour(rows: int = 1, height: int = 12, width: int = 16, seed: int = 0) -> CameraImage:
    pixels = np.random.default_rng(seed).integers(0, 256, (rows, height, width, 3), np.uint8)
    return CameraImage(
        clock=Clock.fraction(rows), axes="pixels", unit=SRGB, source="c.png", pixels=pixels
    )


def superpixels(folder: Path, reading: CameraImage) -> str:
    """A folder that has the superpixels of an image, as `PreparedSuperpixels` looks them up."""
    step = PreparedSuperpixels(folder=str(folder))
    store = open_or_create(folder, step.method)
    for picture in step.pictures(reading):
        labels_HW = Slic().segment(picture.pixels_HW3)
        store.save(picture.name, step.key(store, picture), labels_HW)
    return str(folder)


def surface(rows: int = 5, height: int = 12, width: int = 16, seed: int = 0) -> CameraImage:
    """What `depth` shows, as coverage and nearness."""
    return BodySurface().prepare(depth(rows, height, width, seed))


def cloud(rows: int | None = None, seed: int = 0, axes: str = "RFU") -> PointCloud:
    """Points within some metres; their number depends on the seed."""
    generator = np.random.default_rng(seed)
    rows = 40 + 3 * seed if rows is None else rows
    return PointCloud(
        clock=Clock.instant(0),
        axes=axes,
        unit=UNIT,
        source="lidar.bin",
        points=generator.uniform((-4, -3, -1), (4, 5, 1), (rows, 3)).astype(np.float32),
        intensity=generator.random(rows, np.float32),
        intensity_scale=255.0,
    )


def positions(rows: int = 8, *, seed: int = 0) -> PositionFixes:
    places = np.random.default_rng(seed).normal(1000.0, 5.0, (rows, 3))
    return PositionFixes(
        clock=Clock.fraction(rows),
        axes="ENU",
        unit="m",
        source=f"positions {seed}",
        position=places,
        deviation=1.5,
    )


def optical(height: int = 12, width: int = 9, seed: int = 0, unit: str = REFLECTANCE) -> Raster:
    """Twelve bands without pixel (0, 1), labelled by column."""
    values = np.random.default_rng(seed).uniform(0.01, 0.5, (12, height, width))
    valid = np.ones((1, height, width), np.bool_)
    valid[:, 0, 1] = False
    return Raster(
        clock=Clock.instant(0),
        axes="EPSG:32632",
        unit=unit,
        source="optical.tif",
        values=np.where(valid, values, 0.0).astype(np.float32),
        valid=valid,
        transform=np.array([[10.0, 0.0, 400_000.0], [0.0, -10.0, 5_300_000.0]]),
        bands=L2A_BANDS,
        level=L2A,
        label=np.tile(np.arange(width, dtype=np.uint8), (height, 1)),
    )


def radar(height: int = 12, width: int = 9, seed: int = 0, unit: str = DECIBEL) -> Raster:
    """VV and VH, with a mask for each."""
    values = np.random.default_rng(seed).normal(-14.0, 3.0, (2, height, width))
    valid = np.ones((2, height, width), np.bool_)
    valid[1, 3:5] = False
    values = 10 ** (values / 10) if unit == POWER else values
    return optical(height, width, seed).replace(
        unit=unit,
        source="radar.tif",
        values=np.where(valid, values, 0.0).astype(np.float32),
        valid=valid,
        bands=SENTINEL1_BANDS,
        level=GRD,
    )


def numbers(seed: int = 0) -> Raster:
    return optical(seed=seed, unit=NUMBERS)


def backscatter(seed: int = 0) -> Raster:
    return radar(seed=seed, unit=POWER)


EXAMPLES = {
    Raster: optical,
    ImuWindow: imu,
    SkeletonWindow: skeleton,
    CameraImage: depth,
    PointCloud: cloud,
    PositionFixes: positions,
}


def sample(**readings: Reading) -> Sample:
    return Sample(id="example", frames=(Frame(readings),), labels={"action": 1})
