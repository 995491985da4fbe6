"""The command: same bytes for any number of workers, nothing half-written with a whole name."""

from __future__ import annotations

import errno
import hashlib
import json
import os

import pytest

from sensorfusion.errors import ConfigError
from sensorfusion.exports.command import FORMATS, export, scene_numbers
from sensorfusion.exports.options import ExportOptions
from sensorfusion.files import alone_in
from sensorfusion.prepare import main

OPTIONS = ExportOptions(frames=2, sweeps=1, camera_sweeps=0, image_size=(32, 48))
ARGUMENTS = ["--frames", "2", "--sweeps", "1", "--camera-sweeps", "0", "--image-size", "32", "48"]


def hashes(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def simulate(out, *more, name="nuscenes"):
    return main(["simulate", "--format", name, "--out", str(out), *ARGUMENTS, *more])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What an undisturbed job of one process leaves."""
    out = tmp_path_factory.mktemp("made") / "out"
    assert simulate(out, "--workers", "1") == 0
    return out


def test_two_workers_leave_the_same_bytes(made, tmp_path):
    (tmp_path / "out").mkdir()  # an empty folder is filled
    assert simulate(tmp_path / "out", "--workers", "2") == 0
    assert hashes(tmp_path / "out") == hashes(made)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_only_what_belongs_to_the_data_set_is_there(made):
    assert {path.name for path in made.iterdir()} == {
        "v1.0-mini", "samples", "sweeps", "lidarseg", "maps", "simulated.json",
    }  # fmt: skip
    assert not [name for name in hashes(made) if name.endswith(".part")]
    recipe = json.loads((made / "simulated.json").read_text())
    assert (recipe["format"], recipe["frames"], recipe["seed"]) == ("nuscenes", 2, 0)


@pytest.mark.parametrize("calls", [2, 14])
def test_a_full_disk_ends_the_job_and_it_continues(made, tmp_path, monkeypatch, calls):
    fsync, count = os.fsync, []

    def full(descriptor):
        count.append(descriptor)
        if len(count) > calls:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(ConfigError, match=r"(?s)No space left.*free disk space.*continues"):
            export("nuscenes", OPTIONS, out)
    assert not out.exists()
    assert not list(tmp_path.rglob("*.part"))
    export("nuscenes", OPTIONS, out)
    assert hashes(out) == hashes(made)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_interrupted_job_continues_without_making_again(made, tmp_path, monkeypatch):
    from sensorfusion.exports import nuscenes

    make, steps = nuscenes.make_keyframe, []

    def interrupted(options, folder, number, step):
        steps.append(step)
        if steps == [0, 1]:
            raise KeyboardInterrupt
        return make(options, folder, number, step)

    monkeypatch.setattr(nuscenes, "make_keyframe", interrupted)
    assert simulate(tmp_path / "out", "--workers", "1") == 130
    assert [path.name for path in tmp_path.iterdir()] == ["out.unfinished"]
    assert simulate(tmp_path / "out", "--workers", "1") == 0
    assert steps == [0, 1, 1]
    assert hashes(tmp_path / "out") == hashes(made)


def test_a_folder_that_is_not_empty_stays_as_it_is(tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    assert simulate(tmp_path / "out") == 1
    told = capsys.readouterr().err
    assert "there already" in told
    assert "choose a folder" in told
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "mine.txt"]


def test_places_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert simulate(tmp_path / "file") == 1
    assert "there already" in capsys.readouterr().err
    assert simulate(tmp_path / "file" / "out") == 1
    assert "cannot" in capsys.readouterr().err


def test_an_unfinished_folder_of_other_settings_or_of_someone_else(tmp_path, capsys):
    unfinished = tmp_path / "out.unfinished"
    unfinished.mkdir()
    (unfinished / "mine.txt").write_text("mine")
    assert simulate(tmp_path / "out") == 1
    assert "something else" in capsys.readouterr().err
    (unfinished / "simulated.json").write_text("{}")
    assert simulate(tmp_path / "out") == 1
    assert "other settings" in capsys.readouterr().err
    assert (unfinished / "mine.txt").read_text() == "mine"


def test_a_folder_in_use(tmp_path, capsys):
    unfinished = tmp_path / "out.unfinished"
    unfinished.mkdir()
    with alone_in(unfinished, "tests"):
        assert simulate(tmp_path / "out") == 1
    assert "another process" in capsys.readouterr().err
    assert unfinished.is_dir()


def test_scenes_are_numbers_and_ranges():
    assert scene_numbers(["3", "0-2", "2"]) == (0, 1, 2, 3)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "wrong",
    [
        ["--scenes", "-1"],
        ["--scenes", "3-1"],
        ["--scenes", "0,1"],
        ["--seed", "-1"],
        ["--frames", "0"],
        ["--frames", "100000"],
        ["--image-size", "0", "10"],
        ["--quality", "101"],
        ["--workers", "0"],
    ],
    ids=" ".join,
)
def test_impossible_settings_are_refused_and_leave_nothing(name, wrong, tmp_path, capsys):
    assert simulate(tmp_path / "out", *wrong, name=name) == 1
    told = capsys.readouterr().err
    assert "ConfigError" in told
    assert "what to do" in told
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("nuscenes", ["--sweeps", "10"]),
        ("nuscenes", ["--camera-sweeps", "-1"]),
        ("semantickitti", ["--scenes", "100"]),
    ],
)
def test_what_a_format_cannot_hold_is_refused(name, wrong, tmp_path, capsys):
    assert simulate(tmp_path / "out", *wrong, name=name) == 1
    assert "what to do" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
