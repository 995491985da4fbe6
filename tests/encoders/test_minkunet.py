"""MinkUNet: variants, what a voxel is made of, levels of tokens, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sensorfusion.collate import collate
from sensorfusion.encoders.minkunet import SLIDR, SUPERFLOW, VARIANTS, MinkUNet
from sensorfusion.encoders.sparse_unet import SparseUNet
from sensorfusion.errors import ConfigError, DataError
from sensorfusion.export import load_encoder, save_encoder
from sensorfusion.ops import SparseTensor
from sensorfusion.sample import Frame, Sample, SensorBatch
from tests.encoder_cases import SMALL, UNITS, randomised
from tests.encoder_cases import reading as example
from tests.sensors.windows import PointCloud

TINY = {k: v for k, v in SMALL["MinkUNet"].items() if k in ("blocks", "planes", "stem")}
UNIT = UNITS[PointCloud]


def tiny(**settings) -> MinkUNet:
    return MinkUNet(**{"units": (UNIT,), "voxel": (1.0, 1.0, 1.0), **TINY, **settings})


def cloud(points, intensity, **changes) -> PointCloud:
    return example(PointCloud, 0).replace(
        points=np.array(points, np.float32), intensity=np.array(intensity, np.float32), **changes
    )


def packed(*readings: PointCloud) -> SensorBatch:
    return collate([Sample("x", (Frame({"x": r}),)) for r in readings])["x"]


def voxels_of(model: MinkUNet, batch: SensorBatch) -> SparseTensor:
    """What the network is given."""
    seen = []
    model.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model(batch)
    return seen[0]


# Pairs of points in one voxel, apart from a third.
POINTS = [(0.2, 0.2, 0.2), (5.5, 0.0, 0.0), (0.6, 0.4, 0.8)]


def test_a_voxel_has_the_mean_of_its_points_or_the_first() -> None:
    batch = packed(cloud(POINTS, [0.1, 0.5, 0.7]))
    names = ("intensity", "x", "z")
    mean = voxels_of(tiny(columns=names), batch)
    expected = torch.tensor([[0.4, 0.4, 0.5], [0.5, 5.5, 0.0]])
    torch.testing.assert_close(mean.features, expected)
    assert mean.coordinates.tolist() == [[0, 0, 0, 0], [0, 5, 0, 0]]
    first = voxels_of(tiny(columns=names, pooling="first"), batch)
    torch.testing.assert_close(first.features, torch.tensor([[0.1, 0.2, 0.2], [0.5, 5.5, 0.0]]))


def test_time_is_a_column_where_readings_have_it() -> None:
    with_time = cloud(POINTS, [0.1, 0.5, 0.7], time=np.array([0.0, 0.3, 0.2], np.float32))
    tensor = voxels_of(tiny(columns=("time",)), packed(with_time))
    torch.testing.assert_close(tensor.features, torch.tensor([[0.1], [0.3]]))
    with pytest.raises(DataError, match="without time"):
        tiny(columns=("intensity", "time"))(packed(cloud(POINTS, [0.1, 0.5, 0.7])))


def test_readings_do_not_share_voxels() -> None:
    batch = packed(cloud(POINTS, [0.1, 0.5, 0.7]), cloud(POINTS[:1], [0.9]))
    tensor = voxels_of(tiny(), batch)
    assert tensor.batch_size == 2
    assert tensor.coordinates[:, 0].tolist() == [0, 0, 1]
    assert tensor.features[2].item() == pytest.approx(0.9)


def test_points_of_a_voxel_share_its_features() -> None:
    tokens = randomised(tiny()).eval()(packed(cloud(POINTS, [0.1, 0.5, 0.7]))).tokens
    assert torch.equal(tokens[0], tokens[2])
    assert (tokens[0] - tokens[1]).abs().max() > 1e-4


def test_voxel_tokens_are_at_the_mean_of_their_points() -> None:
    batch = packed(cloud(POINTS, [0.1, 0.5, 0.7]), cloud(POINTS[:1], [0.9]))
    model = randomised(tiny(level="voxels")).eval()
    voxels = model(batch)
    expected = torch.tensor([[0.4, 0.3, 0.5], [5.5, 0.0, 0.0], [0.2, 0.2, 0.2]])
    torch.testing.assert_close(voxels.positions, expected)
    assert voxels.item.tolist() == [0, 0, 1]
    model.level = "points"
    assert torch.equal(model(batch).tokens[[0, 1, 3]], voxels.tokens)


@pytest.mark.parametrize(
    "settings",
    [
        {"columns": ("colour",)},
        {"columns": ()},
        {"pooling": "max"},
        {"level": "cells"},
        {"blocks": (1,) * 7},
        {"blocks": (0,) * 8},
        {"planes": (8,) * 9},
        {"stem_convs": 0},
    ],
)
def test_unknown_settings_are_refused(settings) -> None:
    with pytest.raises(ConfigError, match=r"give|use|name"):
        tiny(**settings)


def test_points_that_are_not_finite_are_refused() -> None:
    batch = packed(cloud(POINTS, [0.1, 0.5, 0.7]))
    batch.values["points"][1, 0] = torch.inf
    with pytest.raises(DataError, match="point 1"):
        tiny()(batch)


@pytest.mark.parametrize("name", VARIANTS)
def test_variants(name) -> None:
    with torch.device("meta"):
        network = SparseUNet(1, **VARIANTS[name])
    convolutions = [m for m in network.modules() if hasattr(m, "kernel_size")]
    blocks, bottleneck = VARIANTS[name]["blocks"], VARIANTS[name].get("bottleneck", False)
    shortcuts = sum(".shortcut.conv.weight" in key for key in network.state_dict())
    assert len(convolutions) == 1 + 8 + (3 if bottleneck else 2) * sum(blocks) + shortcuts
    assert network.width == VARIANTS[name]["planes"][-1] * (4 if bottleneck else 1)


def test_bottlenecks_run() -> None:
    model = tiny(bottleneck=True).train()
    tokens = model(packed(example(PointCloud, 0))).tokens
    assert tokens.shape == (200, 24)
    tokens.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_momenta_as_released() -> None:
    def momenta(settings) -> dict[str, float]:
        with torch.device("meta"):
            network = MinkUNet(**settings).network
        return {n: m.momentum for n, m in network.named_modules() if hasattr(m, "momentum")}

    for name, value in momenta(SLIDR).items():
        assert value == (0.1 if ".path." in name else 0.05), name
    assert set(momenta(SUPERFLOW).values()) == {0.05}


def test_published_settings_survive_saving(tmp_path) -> None:
    model = MinkUNet(**{**SUPERFLOW, **TINY})
    save_encoder(tmp_path / "saved", model)
    loaded = load_encoder(tmp_path / "saved").encoder
    assert loaded.grid == model.grid
    assert (loaded.columns, loaded.pooling, loaded.stem_convs) == (
        ("x", "y", "z", "intensity"),
        "first",
        2,
    )


def test_a_shift_by_the_coarsest_cell_changes_nothing() -> None:
    model = randomised(tiny()).double().eval()
    batch = packed(example(PointCloud, 0))
    expected = model(batch).tokens
    batch.values["points"][:] += 32.0
    torch.testing.assert_close(model(batch).tokens, expected, rtol=1e-9, atol=1e-9)
    batch.values["points"][:] += 1.0
    assert (model(batch).tokens - expected).abs().max() > 1e-4
