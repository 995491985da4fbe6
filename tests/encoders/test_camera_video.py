"""Pixels on their way into the video encoder."""

from __future__ import annotations

import pytest
import torch

from sensorfusion.encoders.camera_video import CameraVideo
from sensorfusion.errors import ConfigError
from sensorfusion.sample import SensorBatch
from sensorfusion.sensors.camera import CameraImage


def packed(pixels: torch.Tensor, unit: str) -> SensorBatch:
    present = torch.ones(len(pixels), 1, dtype=torch.bool)
    return SensorBatch(present, {"pixels": pixels}, kind=CameraImage, unit=unit)


def small(**settings) -> CameraVideo:
    return CameraVideo(frames=5, size=(12, 16), channels=(8, 16), **settings)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_millimetres_and_metres_are_the_same_depth(dtype) -> None:
    millimetres = torch.randint(0, 4096, (2, 5, 12, 16, 1)).to(torch.uint16)
    metres = millimetres.to(torch.float64) * 1e-3
    raw = small(units=("mm",), scale=1e-3).to(dtype).eval()
    normal = small(units=("m",)).to(dtype).eval()
    normal.load_state_dict(raw.state_dict())
    expected = normal(packed(metres, "m")).tokens
    tolerance = 0.1 if dtype == torch.bfloat16 else 1e-5
    torch.testing.assert_close(
        raw(packed(millimetres, "mm")).tokens, expected, atol=tolerance, rtol=tolerance
    )


def test_small_motion_far_away_survives_bfloat16() -> None:
    """One millimetre at four metres is below bfloat16's spacing there, but not in a difference."""
    pixels = torch.full((1, 5, 12, 16, 1), 4.0)
    pixels[:, 3:] += 0.001
    encoder = small(units=("m",)).bfloat16()
    changes = encoder._patches(pixels)[..., 16:]
    assert changes[:, 3].gt(0).all()
    assert not changes[:, [0, 1, 2, 4]].any()


def test_patches_keep_pixels_together() -> None:
    pixels = torch.arange(2 * 5 * 12 * 16 * 3).view(2, 5, 12, 16, 3)
    patches = small(units=(), in_channels=3).double()._patches(pixels)
    tile = pixels[1, 3, 8:12, 4:8].double().flatten()
    assert torch.equal(patches[1, 3, 2, 1, :48], tile)
    before = pixels[1, 2, 8:12, 4:8].double().flatten()
    assert torch.equal(patches[1, 3, 2, 1, 48:], tile - before)


def test_convolutions_are_those_of_three_dimensions() -> None:
    """The two views of one memory equal a 3-D convolution over space, then one over time."""
    block = small(units=()).double().blocks[1]
    clip = torch.randn(2, 5, 6, 8, 8, dtype=torch.float64)
    volume = clip.permute(0, 4, 1, 2, 3)
    space, time = block.space.conv.weight[:, :, None], block.time.conv.weight[..., None]
    expected = torch.conv3d(volume, space, None, (1, 2, 2), (0, 1, 1))
    expected = torch.conv3d(expected, time, None, (2, 1, 1), (1, 0, 0))
    found = block.time(block.space(clip)).permute(0, 4, 1, 2, 3)
    torch.testing.assert_close(found, expected)


def test_sizes_that_do_not_fit() -> None:
    with pytest.raises(ConfigError, match=r"\(55, 56\)"):
        CameraVideo(units=(), size=(55, 56))
