"""One small configuration per encoder and fusion, found by listing the package's folders."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import numpy as np
import torch
from torch import nn

import sensorfusion.encoders
import sensorfusion.fusion
from sensorfusion.collate import collate
from sensorfusion.encoders.encoder import Encoder
from sensorfusion.fusion.fusion import Fusion
from sensorfusion.geometry.clock import Clock
from sensorfusion.sample import Batch, Frame, Reading, Sample
from sensorfusion.sensors.camera import SRGB, CameraImage
from sensorfusion.sensors.camera_surface import SURFACE
from sensorfusion.sensors.imu import ImuWindow
from sensorfusion.sensors.lidar import PointCloud
from sensorfusion.sensors.skeleton import SkeletonWindow

UNITS = {
    ImuWindow: "m/s^2, rad/s",
    SkeletonWindow: "m",
    CameraImage: "sRGB",
    PointCloud: "m, intensity 0-1",
}

# Settings that make an encoder small; none is needed where the defaults are small.
SMALL: dict[str, dict] = {
    "ImuConvTransformer": {"channels": (8, 8, 16), "feedforward": 32},
    "ImuResidual": {"channels": (8, 16)},
    "SkeletonCooccurrence": {"channels": (8, 32, 8, 8, 8, 16), "pools": (0, 0, 2, 2, 2, 0)},
    "SkeletonGraph": {"channels": (8, 16)},
    "ImuTemporal": {"channels": 8, "rows": 50},
    "SkeletonTemporal": {"channels": 8, "rows": 50},
    "CameraVideo": {
        "channels": (8, 16),
        "frames": 6,
        "size": (24, 20),
        "in_channels": 3,
        "scale": 1 / 255,
    },
    "CameraPyramid": {"size": (24, 20), "channels": (8, 12), "width": 6},
    "EfficientNetLite": {"size": (24, 20), "stride": 4},
    "CameraProjections": {"channels": 8, "rows": 6, "size": (24, 20), "bins": 3},
    "MinkUNet": {
        "columns": ("intensity", "z"),
        "voxel": (0.5, 0.5, 0.5),
        "blocks": (1,) * 8,
        "planes": (4, 8, 8, 12, 12, 8, 6, 6),
        "stem": 4,
    },
}
# Encoders of other images than clips of colour: their unit and the shape of their pixels.
PREPARED = {
    "CameraProjections": (SURFACE, (6, 24, 20, 2)),
    "CameraPyramid": (SRGB, (1, 24, 20, 3)),
    "EfficientNetLite": (SRGB, (1, 24, 20, 3)),
}


def found(package, base: type[nn.Module]) -> list[type[nn.Module]]:
    """Concrete subclasses of `base` that are defined in the package's modules."""
    names = [f"{package.__name__}.{m.name}" for m in pkgutil.iter_modules(package.__path__)]
    modules = [importlib.import_module(name) for name in names]
    return [
        kind
        for module in modules
        for kind in vars(module).values()
        if inspect.isclass(kind)
        and issubclass(kind, base)
        and not inspect.isabstract(kind)
        and kind.__module__ == module.__name__
    ]


ENCODERS = found(sensorfusion.encoders, Encoder)
CLIP_ENCODERS = [kind for kind in ENCODERS if "readout" in inspect.signature(kind).parameters]
POINT_ENCODERS = [kind for kind in ENCODERS if kind.reading.RAGGED]
IMAGE_ENCODERS = [kind for kind in ENCODERS if kind not in (*CLIP_ENCODERS, *POINT_ENCODERS)]
FUSIONS = found(sensorfusion.fusion, Fusion)


def build_small(kind: type[Encoder], **settings) -> Encoder:
    """A small encoder for the readings that `reading` makes."""
    unit, _ = PREPARED.get(kind.__name__, (UNITS[kind.reading], ()))
    return kind(units=(unit,), **SMALL.get(kind.__name__, {}), **settings)


def reading(kind: type[Reading] | type[Encoder], seed: int, **changes) -> Reading:
    """A reading of physical magnitude that depends on the seed only; of an encoder: for it."""
    rng = np.random.default_rng(seed)
    unit, shape = PREPARED.get(kind.__name__, ("", ()))
    kind = kind.reading if issubclass(kind, Encoder) else kind
    common = {"axes": "test", "unit": unit or UNITS[kind]}
    if unit == SRGB:
        pixels = rng.integers(0, 256, size=shape, dtype=np.uint8)
        made = CameraImage(clock=Clock.instant(0), pixels=pixels, **common)
    elif shape:
        pixels = rng.random(shape, np.float32) * np.float32([1.0, 0.5])
        made = CameraImage(clock=Clock.fraction(len(pixels)), pixels=pixels, **common)
    elif kind is ImuWindow:
        walk = rng.normal(size=(2, 50, 3)).cumsum(1).astype(np.float32)
        arrays = {"acceleration": walk[0], "angular_rate": walk[1]}
        made = ImuWindow(clock=Clock.fraction(50), **common, **arrays)
    elif kind is SkeletonWindow:
        joints = rng.normal(size=(20, 3)) + 0.1 * rng.normal(size=(50, 20, 3)).cumsum(0)
        made = SkeletonWindow(clock=Clock.fraction(50), joints=joints.astype(np.float32), **common)
    elif kind is PointCloud:
        points = rng.uniform((-4, -2, -1), (3, 5, 1), (200 + seed, 3)).astype(np.float32)
        intensity = rng.random(len(points), np.float32)
        common["axes"] = "FLU"
        made = PointCloud(clock=Clock.instant(0), points=points, intensity=intensity, **common)
    else:
        pixels = rng.integers(0, 256, size=(6, 24, 20, 3), dtype=np.uint8)
        made = CameraImage(clock=Clock.fraction(6), pixels=pixels, **common)
    return made.replace(**changes) if changes else made


def batch(
    kind: type[Reading] | type[Encoder],
    present=((True,), (True,), (True,)),
    first_seed: int = 0,
) -> Batch:
    """A batch with the sensor "x", present where said; reading (b, f) has seed 10 b + f."""
    samples = [
        Sample(
            id=str(b),
            frames=tuple(
                Frame(readings={"x": reading(kind, first_seed + 10 * b + f)} if there else {})
                for f, there in enumerate(frames)
            ),
        )
        for b, frames in enumerate(present)
    ]
    return collate(samples)


def dead_parameters(module: nn.Module) -> list[str]:
    """Parameters whose gradient is missing or zero everywhere."""
    return [n for n, p in module.named_parameters() if p.grad is None or not p.grad.any()]


def randomised(module: nn.Module) -> nn.Module:
    """Every tensor moved off its initial value, running statistics included."""
    generator = torch.Generator().manual_seed(1)
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            noise = torch.rand(tensor.shape, generator=generator, dtype=torch.float32)
            tensor.add_((noise if "running_var" in name else noise - 0.5).to(tensor) / 10)
    return module
