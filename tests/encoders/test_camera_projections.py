"""What the three views of a surface show."""

from __future__ import annotations

import pytest
import torch

from sensorfusion.encoders.camera_projections import CameraProjections
from sensorfusion.errors import ConfigError
from sensorfusion.sample import SensorBatch
from sensorfusion.sensors.camera import CameraImage
from sensorfusion.sensors.camera_surface import SURFACE

HEIGHT, WIDTH, BINS = 4, 3, 5  # cells


def small(**settings) -> CameraProjections:
    return CameraProjections(
        units=(SURFACE,), rows=6, size=(8, 6), near=(-1.0, 1.0), bins=BINS, channels=8, **settings
    ).eval()


def packed(pixels: torch.Tensor) -> SensorBatch:
    present = torch.ones(len(pixels), 1, dtype=torch.bool)
    return SensorBatch(present, {"pixels": pixels}, kind=CameraImage, unit=SURFACE)


def views(pixels: torch.Tensor) -> list[torch.Tensor]:
    """Of one frame: front coverage, front nearness, side [H, bins], top [W, bins]."""
    found = small()._views(pixels[None, None])[0, 0]
    front = HEIGHT * WIDTH
    parts = found.split([front, front, HEIGHT * BINS, WIDTH * BINS])
    coverage, nearness = (part.view(HEIGHT, WIDTH) for part in parts[:2])
    # A view has one bin after another.
    return [coverage, nearness, parts[2].view(BINS, HEIGHT).T, parts[3].view(BINS, WIDTH).T]


def test_one_cell_is_seen_from_three_sides() -> None:
    pixels = torch.zeros(8, 6, 2)
    pixels[2:4, 4:6] = torch.tensor([1.0, 0.75])  # cell (1, 2), between the bins 0.5 and 1
    coverage, nearness, side, top = views(pixels)
    assert coverage.nonzero().tolist() == [[1, 2]]
    assert coverage[1, 2] == 1
    assert nearness[1, 2] == 0.75
    share = 0.5 / (3 + 0.5)  # half a cell in each of the two bins
    for view, place in ((side, 1), (top, 2)):
        assert view.nonzero().tolist() == [[place, 3], [place, 4]]
        torch.testing.assert_close(view[place, 3:], torch.tensor([share, share]))


def test_a_half_covered_cell_keeps_its_nearness() -> None:
    pixels = torch.zeros(8, 6, 2)
    pixels[2, 4:6] = torch.tensor([1.0, 0.5])
    coverage, nearness, side, _ = views(pixels)
    assert coverage[1, 2] == 0.5
    assert nearness[1, 2] == 0.5
    torch.testing.assert_close(side[1], torch.tensor([0, 0, 0, 0.5 / 3.5, 0]))


def test_what_never_moves_is_not_seen() -> None:
    """Views are relative to the first frame: a body of another shape at rest is the same."""
    encoder = small()
    still = torch.rand(2, 1, 8, 6, 2).expand(2, 6, 8, 6, 2)
    tokens = encoder(packed(still)).tokens
    torch.testing.assert_close(tokens[0], tokens[1])
    moving = still.clone()
    moving[1, 3] = 0
    assert not torch.allclose(*encoder(packed(moving)).tokens)


def test_sizes_that_do_not_fit() -> None:
    with pytest.raises(ConfigError, match=r"\(9, 6\)"):
        CameraProjections(units=(SURFACE,), size=(9, 6))
    with pytest.raises(ConfigError, match="1 bins"):
        CameraProjections(units=(SURFACE,), bins=1)
