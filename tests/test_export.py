"""Encoders as folders: what a user gets back, and what a folder cannot make us do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import sensorfusion
from sensorfusion.checkpoint import read_folder, write_folder
from sensorfusion.collate import collate
from sensorfusion.encoders.encoder import Encoder
from sensorfusion.encoders.heads import Projection
from sensorfusion.encoders.imu_residual import ImuResidual
from sensorfusion.encoders.readout import floating
from sensorfusion.errors import CheckpointError, ConfigError, DataError, UnitError
from sensorfusion.export import DOCUMENT, describe, load_encoder, save_encoder
from sensorfusion.geometry.clock import Clock
from sensorfusion.sample import Features, Frame, Sample, SensorBatch
from sensorfusion.sensors.imu import ImuWindow

UNIT = "m/s^2, rad/s"


class OwnEncoder(Encoder):
    """A user's encoder, with another encoder inside."""

    reading = ImuWindow

    def __init__(self, *, inner: Encoder, units, table: dict[str, float] | None = None) -> None:
        super().__init__()
        self.inner, self.units, self.table = inner, tuple(units), table
        self.width = 3
        self.linear = nn.Linear(inner.width, 3)

    def forward(self, batch: SensorBatch) -> Features:
        batch.require(self.reading, *self.units)
        inner = self.inner(batch)
        return inner.replace(tokens=self.linear(floating(inner.tokens, self)))


def window(seed: int = 0, **changes) -> ImuWindow:
    values = np.random.default_rng(seed).normal(size=(2, 50, 3)).astype(np.float32)
    clock = Clock.fraction(50)
    made = ImuWindow(
        clock=clock, axes="test", unit=UNIT, acceleration=values[0], angular_rate=values[1]
    )
    return made.replace(**changes)


def small() -> ImuResidual:
    return ImuResidual(units=(UNIT,), channels=(8, 16))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_encoder(tmp_path / "imu", small(), head=Projection(16, 8, 4), note={"accuracy": 0.5})
    return tmp_path / "imu"


def test_three_lines(folder) -> None:
    encoder = sensorfusion.load_encoder(folder)
    features = encoder(window())
    assert features.tokens.shape == (1, 16)
    assert encoder.project(window()).tokens.shape == (1, 4)
    assert encoder.note == {"accuracy": 0.5}


def test_every_form_of_readings_gives_the_same(folder) -> None:
    encoder = load_encoder(folder)
    readings = [window(0), window(1)]
    tokens = encoder(readings).tokens
    samples = [Sample(id=str(i), frames=(Frame({"imu": r}),)) for i, r in enumerate(readings)]
    batch = collate(samples)
    assert torch.equal(encoder(batch).tokens, tokens)
    assert torch.equal(encoder(batch["imu"]).tokens, tokens)
    torch.testing.assert_close(encoder(window(1)).tokens[0], tokens[1])
    assert encoder(batch, sensor="absent").tokens.shape == (0, 16)


def test_a_batch_with_two_fitting_sensors_needs_a_name(folder) -> None:
    encoder = load_encoder(folder)
    batch = collate([Sample(id="0", frames=(Frame({"left": window(0), "right": window(1)}),))])
    with pytest.raises(ConfigError, match=r"left.*right"):
        encoder(batch)
    right = encoder(batch, sensor="right").tokens
    assert torch.equal(right, encoder(window(1)).tokens)


def test_loaded_is_frozen_and_stays_in_eval(folder) -> None:
    encoder = load_encoder(folder).train()
    assert not any(module.training for module in encoder.modules())
    assert not any(p.requires_grad for p in encoder.parameters())
    encoder.encoder.requires_grad_().train()
    encoder.encoder(collate([Sample("0", (Frame({"x": window()}),))])["x"]).tokens.sum().backward()


def test_units_are_refused(folder) -> None:
    with pytest.raises(UnitError, match="g, deg/s"):
        load_encoder(folder)(window(unit="g, deg/s"))


def test_units_must_be_known_when_saving(tmp_path) -> None:
    with pytest.raises(ConfigError, match="units"):
        save_encoder(tmp_path / "x", ImuResidual(units=(), channels=(8,)))


def test_head_may_be_left_out(tmp_path) -> None:
    save_encoder(tmp_path / "x", small())
    with pytest.raises(ConfigError, match="head"):
        load_encoder(tmp_path / "x").project(window())


def test_own_classes_must_be_named(tmp_path) -> None:
    own = OwnEncoder(inner=small(), units=[UNIT], table={"a": 1.5})
    save_encoder(tmp_path / "own", own)
    with pytest.raises(CheckpointError, match="OwnEncoder"):
        load_encoder(tmp_path / "own")
    loaded = load_encoder(tmp_path / "own", types=[OwnEncoder])
    assert loaded.encoder.table == {"a": 1.5}
    own.eval()
    torch.testing.assert_close(
        loaded(window()).tokens, own(collate([Sample("0", (Frame({"x": window()}),))])["x"]).tokens
    )


def rewrite(folder: Path, *, tensors=None, **changes) -> None:
    """A folder as someone else could have written it: checksums right, content changed."""
    own, document = read_folder(folder, name=DOCUMENT)
    document = {k: v for k, v in document.items() if k not in ("sha256", "format")} | changes
    write_folder(folder, own if tensors is None else tensors, document, name=DOCUMENT)


HOSTILE = [
    "os:system",
    "builtins:exec",
    "torch.nn:Linear",
    "sensorfusion.export:load_encoder",
    "sensorfusion.export:importlib",
    "sensorfusion.encoders.imu_residual:Encoder",  # imported there, not defined there
    "sensorfusion.nowhere:Encoder",
    "sensorfusion..os:system",
    "sensorfusion.encoders.imu_residual",
    "",
    7,
]


@pytest.mark.parametrize("name", HOSTILE, ids=str)
def test_no_foreign_class_is_built(folder, name) -> None:
    rewrite(folder, type=name, arguments={"command": "touch /tmp/pwned"})
    with pytest.raises(CheckpointError, match=r"encoder\.json"):
        load_encoder(folder)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"units": [UNIT], "colour": 1},
        {"units": [UNIT], "channels": "wide"},
        {"units": [UNIT], "channels": []},
        {"units": [UNIT], "readout": "magic"},
        {"units": [UNIT], "channels": [-8, 16]},
        {"units": [UNIT], "channels": {"type": "os:system", "arguments": {}}},
        {"units": [UNIT], "channels": [10**12, 10**12]},
        {"units": [UNIT], "rows": None},
    ],
    ids=str,
)
def test_bad_arguments_are_our_error(folder, arguments) -> None:
    rewrite(folder, arguments=arguments)
    with pytest.raises(CheckpointError, match="imu"):
        load_encoder(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"type": None},
        {"arguments": None},
        {"arguments": []},
        {"head": []},
        {"head": {"type": "os:system", "arguments": {}}},
        {"head": {"type": "x"}},
    ],
    ids=str,
)
def test_malformed_descriptions_are_our_error(folder, change) -> None:
    rewrite(folder, **change)
    with pytest.raises(CheckpointError, match=r"encoder\.json"):
        load_encoder(folder)


def test_the_document_says_what_it_takes(folder) -> None:
    _, document = read_folder(folder, name=DOCUMENT)
    assert document["format"] == 1
    assert document["type"] == "sensorfusion.encoders.imu_residual:ImuResidual"
    assert document["arguments"]["channels"] == [8, 16]
    assert document["units"] == [UNIT]
    assert document["head"]["arguments"] == {"inputs": 16, "hidden": 8, "width": 4}


def test_a_head_is_not_an_encoder(folder) -> None:
    rewrite(folder, **describe(Projection(16, 8, 4)))
    with pytest.raises(CheckpointError, match="no encoder"):
        load_encoder(folder)


def test_another_architecture_names_its_keys(folder) -> None:
    wide = ImuResidual(units=(UNIT,), channels=(8, 32))
    rewrite(folder, **describe(wide))
    with pytest.raises(CheckpointError, match=r"blocks\.1.*\(32,.*instead|another shape") as error:
        load_encoder(folder)
    assert str(folder) in str(error.value)
    assert "what to do" in str(error.value)


@pytest.mark.parametrize("change", ["missing", "unexpected", "integers"])
def test_wrong_tensors_name_their_keys(folder, change) -> None:
    tensors, _ = read_folder(folder, name=DOCUMENT)
    key = "stem.0.weight"
    if change == "missing":
        del tensors[key]
    elif change == "unexpected":
        tensors[key := "surprise"] = torch.zeros(1)
    else:
        tensors[key] = tensors[key].long()
    rewrite(folder, tensors=tensors)
    with pytest.raises(CheckpointError, match=key):
        load_encoder(folder)


def test_tensors_of_an_undescribed_head_are_unexpected(folder) -> None:
    rewrite(folder, head=None)
    with pytest.raises(CheckpointError, match=r"unexpected: head:linear1"):
        load_encoder(folder)


def test_weights_are_the_encoders_state_dict(tmp_path) -> None:
    encoder = small()
    save_encoder(tmp_path / "x", encoder)
    tensors, _ = read_folder(tmp_path / "x", name=DOCUMENT)
    own = encoder.state_dict()
    assert tensors.keys() == own.keys()
    assert all(torch.equal(tensors[name], own[name]) for name in own)


def test_a_bare_document_is_enough(tmp_path) -> None:
    """As a run writes it: class, arguments and weights."""
    encoder = small()
    write_folder(tmp_path / "x", encoder.state_dict(), describe(encoder), name=DOCUMENT)
    expected = encoder.eval()(collate([Sample("0", (Frame({"x": window()}),))])["x"]).tokens
    torch.testing.assert_close(load_encoder(tmp_path / "x")(window()).tokens, expected)


def test_damage_is_named(folder) -> None:
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match=r"weights\.safetensors"):
        load_encoder(folder)
    with pytest.raises(CheckpointError, match="nowhere"):
        load_encoder(folder.parent / "nowhere")


def test_arguments_must_be_kept() -> None:
    class Forgetful(nn.Module):
        def __init__(self, size: int) -> None:
            super().__init__()

    class Opaque(nn.Module):
        def __init__(self, size: object) -> None:
            super().__init__()
            self.size = size

    with pytest.raises(ConfigError, match="size"):
        describe(Forgetful(3))
    with pytest.raises(ConfigError, match="object"):
        describe(Opaque(object()))


def test_a_folder_above_or_beside_an_encoder(tmp_path) -> None:
    for name in ("imu", "skeleton"):
        save_encoder(tmp_path / "run" / "encoders" / name, small())
    for wrong in ("run", "run/encoders", "run/encoders/sekleton"):
        with pytest.raises(
            CheckpointError, match=r"give one of .*encoders/imu, .*encoders/skeleton"
        ):
            load_encoder(tmp_path / wrong)
    with pytest.raises(CheckpointError, match="<name>"):
        load_encoder(tmp_path / "absent")


def test_what_is_no_reading(folder) -> None:
    encoder, reading = load_encoder(folder), window()
    frame = Frame(readings={"imu": reading})
    for wrong in (
        Sample("0", (frame,)),
        frame,
        np.zeros((50, 3)),
        [frame],
        {"imu": reading},
        "imu",
    ):
        with pytest.raises(DataError, match=r"is no reading(?s:.*)frames\[0\]"):
            encoder(wrong)


def test_light_imports(folder) -> None:
    """Importing the package costs nothing; loading needs neither the engine nor plots."""
    program = (
        "import sys, sensorfusion\n"
        "assert 'torch' not in sys.modules, 'torch imported'\n"
        f"sensorfusion.load_encoder({str(folder)!r})\n"
        "heavy = {'mmengine', 'matplotlib', 'tensorboard', 'numba'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    root = Path(sensorfusion.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, cwd=folder)


def test_the_lines_of_the_readme(tmp_path, monkeypatch) -> None:
    """As written there, against the folder that a run writes."""
    monkeypatch.chdir(tmp_path)
    save_encoder(tmp_path / "work_dirs/utd_mhad/cmc/encoders/imu", small())
    readme = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
    lines = readme.split("```python\n")[1].split("```")[0]
    names = {"reading": window()}
    exec(lines, names)
    assert names["features"].tokens.shape == (1, names["encoder"].width)
