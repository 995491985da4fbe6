"""Folders that are there whole or not at all."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from sensorfusion.errors import ConfigError, DataError
from sensorfusion.exports import command
from sensorfusion.exports.command import scene_numbers
from sensorfusion.exports.folder import whole_folder
from sensorfusion.prepare import main


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_name_appears_at_the_end(tmp_path):
    out = tmp_path / "new" / "set"
    with whole_folder(out) as folder:
        (folder / "file").write_text("x")
        assert not out.exists()
        assert folder.parent == out.parent  # one file system: the rename is one step
    assert listed(out.parent) == ["set"]
    assert (out / "file").read_text() == "x"


@pytest.mark.parametrize("error", [RuntimeError("bug"), KeyboardInterrupt()], ids=repr)
def test_nothing_is_left_of_what_failed(tmp_path, error):
    def fail():
        with whole_folder(tmp_path / "set") as folder:
            (folder / "file").write_text("x")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert listed(tmp_path) == []


def test_what_is_there_is_not_touched(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine").write_text("x")
    with pytest.raises(DataError, match="not empty"), whole_folder(tmp_path / "set"):
        pytest.fail("must not begin")
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="a file"), whole_folder(tmp_path / "file"):
        pytest.fail("must not begin")
    assert listed(tmp_path) == ["file", "set"]


def test_an_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "set").mkdir()
    with whole_folder(tmp_path / "set") as folder:
        (folder / "file").write_text("x")
    assert listed(tmp_path / "set") == ["file"]


def test_what_appeared_meanwhile_is_kept(tmp_path):
    def race():
        with whole_folder(tmp_path / "set"):
            (tmp_path / "set").mkdir()
            (tmp_path / "set" / "other").write_text("x")

    with pytest.raises(DataError, match="not empty"):
        race()
    assert listed(tmp_path) == ["set"]
    assert listed(tmp_path / "set") == ["other"]


def test_a_full_disk_says_so(tmp_path):
    def fill():
        with whole_folder(tmp_path / "set") as folder:
            (folder / "half").write_text("x")
            raise OSError(errno.ENOSPC, "No space left on device", str(folder / "whole"))

    with pytest.raises(DataError, match=r"(?s)No space left.*free disk space; nothing was left"):
        fill()
    assert listed(tmp_path) == []


def test_a_folder_that_cannot_be_written_says_so(tmp_path, monkeypatch):
    def refuse(path, *_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)  # the superuser may write anywhere
    match = r"(?s)Permission denied.*may write"
    with pytest.raises(DataError, match=match), whole_folder(tmp_path / "set"):
        pytest.fail("must not begin")


def test_a_parent_that_is_a_file_says_so(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="may write"), whole_folder(tmp_path / "file" / "set"):
        pytest.fail("must not begin")


class TestCommand:
    def test_scenes(self):
        assert scene_numbers(["7", "0-2", "1"]) == (0, 1, 2, 7)

    @pytest.mark.parametrize("entry", ["", "x", "-1", "3-1", "1-", "2-x", "1.5"])
    def test_scenes_that_are_none(self, entry):
        with pytest.raises(ConfigError, match="names no scenes"):
            scene_numbers([entry])

    def test_writes_with_the_chosen_format(self, tmp_path, monkeypatch, capsys):
        def write(folder, scenes, seed, report):
            (folder / "file").write_text(f"{scenes} {seed}")
            report(2)
            return "two scenes"

        monkeypatch.setitem(command.FORMATS, "geotiff", write)
        out = tmp_path / "set"
        words = ["simulate", "--format", "geotiff", "--scenes", "3-4", "--seed", "9"]
        assert main([*words, "--out", str(out)]) == 0
        assert (out / "file").read_text() == "(3, 4) 9"
        assert "two scenes" in capsys.readouterr().out
        assert main([*words, "--out", str(out)]) == 1
        assert "not empty" in capsys.readouterr().err

    def test_a_seed_below_0_is_refused(self, tmp_path, capsys):
        words = ["simulate", "--format", "geotiff", "--seed", "-1", "--out", str(tmp_path / "x")]
        assert main(words) == 1
        assert "seed -1" in capsys.readouterr().err
