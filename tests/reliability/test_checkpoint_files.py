"""A checkpoint that is damaged, hostile or half written never loads, and says which file it is."""

import os
import random
import shutil

import pytest
import torch

from sensorfusion import checkpoint
from sensorfusion.checkpoint import (
    load_weights,
    read_folder,
    remove_partial,
    write_folder,
)
from sensorfusion.errors import CheckpointError


@pytest.fixture
def folder(tmp_path):
    shared = torch.arange(6.0).reshape(2, 3)
    tensors = {"a": shared, "b": shared.t(), "empty": torch.zeros(0, 4), "flag": torch.tensor(True)}
    write_folder(tmp_path / "one", tensors, {"step": 3, "name": "Zürich", "rate": 0.1})
    return tmp_path / "one"


def test_round_trip(folder):
    tensors, document = read_folder(folder)
    torch.testing.assert_close(tensors["b"], torch.arange(6.0).reshape(2, 3).t(), rtol=0, atol=0)
    assert tensors["empty"].shape == (0, 4)
    assert tensors["flag"].dtype == torch.bool
    assert (document["step"], document["name"], document["rate"]) == (3, "Zürich", 0.1)
    assert document["format"] == 1
    assert sorted(os.listdir(folder)) == ["checkpoint.json", "weights.safetensors"]


def test_every_flipped_bit_and_truncation_is_found(folder):
    generator = random.Random(0)
    for file in sorted(folder.iterdir()):
        content = file.read_bytes()
        damages = [content[: generator.randrange(len(content))] for _ in range(20)]
        for _ in range(150):
            flipped = bytearray(content)
            flipped[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
            damages.append(bytes(flipped))
        for damaged in damages:
            file.write_bytes(damaged)
            with pytest.raises(CheckpointError, match=file.name):
                read_folder(folder)
        file.write_bytes(content)
    read_folder(folder)


def test_missing_files_are_named(folder, tmp_path):
    with pytest.raises(CheckpointError, match=r"checkpoint\.json"):
        read_folder(tmp_path / "nothing")
    (folder / "weights.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"weights\.safetensors"):
        read_folder(folder)


def test_a_newer_format_is_refused(folder, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    write_folder(folder, {}, {})
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="format 2"):
        read_folder(folder)


@pytest.mark.parametrize("failing", ["save_file", "_flush", "_commit"])
def test_a_full_disk_leaves_the_old_folder_and_no_rubbish(folder, monkeypatch, failing):
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, failing, full)
    with pytest.raises(CheckpointError, match=r"(?s)No space left.*free disk space"):
        write_folder(folder, {"a": torch.zeros(3)}, {})
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert os.listdir(folder.parent) == [folder.name]
    read_folder(folder)


def test_a_real_file_size_limit_is_a_clear_error(tmp_path):
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))
    try:
        with pytest.raises(CheckpointError, match="cannot write"):
            write_folder(tmp_path / "big", {"a": torch.zeros(1 << 18)}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path) == []


def test_leftovers_of_killed_writers_are_removed(folder):
    shutil.copytree(folder, folder.with_name(".partial-two-123"))
    assert remove_partial(folder.parent) == [folder.with_name(".partial-two-123")]
    assert os.listdir(folder.parent) == [folder.name]


class _Payload:
    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return os.mkdir, (self.victim,)


@pytest.mark.parametrize("suffix", ["pt", "pth"])
def test_a_malicious_file_of_weights_runs_nothing(tmp_path, suffix):
    victim, file = tmp_path / "ran", tmp_path / f"weights.{suffix}"
    torch.save({"a": torch.zeros(1), "b": _Payload(str(victim))}, file)
    with pytest.raises(CheckpointError, match=file.name):
        load_weights(file)
    assert not victim.exists()


def test_foreign_weights(tmp_path):
    weights = {"a": torch.arange(3.0)}
    torch.save({"state_dict": weights, "epoch": 3}, tmp_path / "a.pth")
    assert load_weights(tmp_path / "a.pth")["a"].tolist() == [0, 1, 2]
    write_folder(tmp_path / "b", weights, {})
    assert load_weights(tmp_path / "b" / "weights.safetensors")["a"].tolist() == [0, 1, 2]
    torch.save({"a": torch.zeros(1), "epoch": 3}, tmp_path / "c.pt")
    with pytest.raises(CheckpointError, match="other than named tensors"):
        load_weights(tmp_path / "c.pt")
    (tmp_path / "d.pickle").write_text("no")
    with pytest.raises(CheckpointError, match=r"d\.pickle"):
        load_weights(tmp_path / "d.pickle")


def test_a_document_refuses_nan(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_folder(tmp_path / "a", {}, {"loss": float("nan")})
    assert os.listdir(tmp_path) == []
