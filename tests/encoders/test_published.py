"""Foreign weights: key mapping, complete checks, and no code from files."""

from __future__ import annotations

import os
import pickle

import pytest
import torch

from sensorfusion.encoders.heads import Projection
from sensorfusion.encoders.imu_conv_transformer import ImuConvTransformer
from sensorfusion.encoders.published import load_published
from sensorfusion.errors import CheckpointError


def weights(seed: int, prefix: str = "") -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    state = Projection(4, 3, 2).state_dict()
    return {
        prefix + key: torch.rand(t.shape, generator=generator).to(t.dtype)
        for key, t in state.items()
    }


def equal(head: Projection, expected: dict[str, torch.Tensor], prefix: str) -> bool:
    return all(torch.equal(t, expected[prefix + key]) for key, t in head.state_dict().items())


@pytest.mark.parametrize("prefix", ["", "model.", "projections.inertial."])
def test_prefix_is_found(prefix) -> None:
    head, published = Projection(4, 3, 2), weights(1, prefix)
    load_published(head, published | {"elsewhere.bias": torch.zeros(3)} if prefix else published)
    assert equal(head, published, prefix)


def test_two_fitting_parts_need_a_name() -> None:
    published = weights(1, "student.") | weights(2, "teacher.")
    head = Projection(4, 3, 2)
    with pytest.raises(CheckpointError, match=r"student\..*teacher\."):
        load_published(head, published)
    load_published(head, published, prefix="teacher.")
    assert equal(head, published, "teacher.")


@pytest.mark.parametrize("prefix", ["", "model."])
def test_what_is_wrong_is_named(prefix) -> None:
    missing = weights(1, prefix)
    del missing[prefix + "linear2.0.bias"]
    with pytest.raises(CheckpointError, match=r"missing: linear2\.0\.bias"):
        load_published(Projection(4, 3, 2), missing)
    extra = weights(1, prefix) | {prefix + "linear3.bias": torch.zeros(1)}
    with pytest.raises(CheckpointError, match=r"unexpected: linear3\.bias"):
        load_published(Projection(4, 3, 2), extra)
    with pytest.raises(CheckpointError, match=r"another shape: linear1\.0\.weight \(3, 4\)"):
        load_published(Projection(5, 3, 2), weights(1, prefix))


def test_the_prototype_layer_is_accepted_and_left_out() -> None:
    encoder = ImuConvTransformer(units=(), channels=(4, 4, 8), feedforward=16)
    published = {key: torch.rand(t.shape).to(t.dtype) for key, t in encoder.state_dict().items()}
    prototype = {
        f"encoder_layer.{key}": torch.rand(t.shape)
        for key, t in encoder.transformer_encoder.layers[0].state_dict().items()
    }
    load_published(encoder, published | prototype)
    assert all(torch.equal(t, published[key]) for key, t in encoder.state_dict().items())
    assert not any(key.startswith("encoder_layer") for key in encoder.state_dict())
    with pytest.raises(CheckpointError, match="encoder_layers"):
        load_published(encoder, published | {"encoder_layers.x": torch.zeros(1)})


@pytest.mark.parametrize("wrapped", [False, True])
def test_pt_files_load_restricted(tmp_path, wrapped) -> None:
    published = weights(3, "encoder.")
    torch.save({"state_dict": published, "epoch": 3} if wrapped else published, tmp_path / "w.pth")
    head = Projection(4, 3, 2)
    load_published(head, tmp_path / "w.pth")
    assert equal(head, published, "encoder.")


class Bomb:
    """Unpickled without restriction, it makes a folder."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("plain", [False, True])
def test_a_malicious_pickle_runs_nothing(tmp_path, plain) -> None:
    file, proof = tmp_path / "w.pt", tmp_path / "proof"
    content = {**weights(1), "bomb": Bomb(str(proof))}
    if plain:
        file.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, file)
    with pytest.raises(CheckpointError, match=r"w\.pt"):
        load_published(Projection(4, 3, 2), file)
    assert not proof.exists()
    if plain:  # the bomb is live
        pickle.loads(file.read_bytes())
        assert proof.is_dir()
