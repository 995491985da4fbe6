"""The job and its command: same bytes for any number of workers, damage found and repaired."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from sensorfusion.errors import ConfigError, DataError
from sensorfusion.prepare import main
from sensorfusion.superpixels.folder import SuperpixelFolder
from sensorfusion.superpixels.listing import list_items
from sensorfusion.superpixels.prepare import check, prepare
from sensorfusion.superpixels.slic import Slic
from tests.superpixels.pictures import files_of, scene, write_scenes

METHOD = Slic(segments=12)
SETTINGS = ["--set", "segments=12"]
# The command, with a signal to itself after the second image.
INTERRUPTED = """
import os, sys
from sensorfusion.superpixels import command
from sensorfusion.prepare import main
show = command.Bar.show
def show_and_stop(bar, summary):
    show(bar, summary)
    if len(summary.entries) == 2:
        os.kill(os.getpid(), int(sys.argv[1]))
command.Bar.show = show_and_stop
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("images"), 8)


@pytest.fixture(scope="module")
def made(images, tmp_path_factory):
    """What an undisturbed job of one process leaves."""
    out = tmp_path_factory.mktemp("made") / "out"
    assert main(["superpixels", str(images), str(out), "--workers", "1", *SETTINGS]) == 0
    return out


def run(images, out, *options):
    return main(["superpixels", str(images), str(out), "--workers", "1", *SETTINGS, *options])


def test_one_file_per_image_and_a_manifest(images, made):
    folder = SuperpixelFolder(made, METHOD)
    manifest = folder.manifest()
    assert len(manifest) == 8
    assert {"0.png", "front/1.jpg"} <= set(manifest)
    for name, entry in manifest.items():
        pixels_HW3 = np.asarray(Image.open(images / name))
        labels_HW = folder.load(name, pixels_HW3.shape[:2])
        np.testing.assert_array_equal(labels_HW, METHOD.segment(pixels_HW3))
        assert entry.segments == labels_HW.max() + 1
    assert len(files_of(made)) == 8 + 3  # header, manifest, lock: no part of a file


def test_two_workers_leave_the_same_bytes(images, made, tmp_path):
    items = list_items(str(images))
    summary = prepare(items, tmp_path / "out", METHOD, workers=2)
    assert (summary.made, summary.complete, summary.problems) == (8, True, {})
    assert files_of(tmp_path / "out") == files_of(made)
    assert len(check(items, tmp_path / "out", METHOD, workers=2).entries) == 8


def hear_interrupts() -> None:
    """A shell starts what runs in its background deaf to SIGINT, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize(
    ("number", "workers", "code"),
    [
        (signal.SIGKILL, 1, -signal.SIGKILL),
        (signal.SIGKILL, 2, -signal.SIGKILL),
        (signal.SIGTERM, 2, 143),
        (signal.SIGINT, 2, 130),
    ],
)
def test_an_interrupted_job_continues_to_the_same_bytes(
    images, made, tmp_path, number, workers, code
):
    out = tmp_path / "out"
    arguments = ["superpixels", str(images), str(out), *SETTINGS, "--workers", str(workers)]
    command = [sys.executable, "-c", INTERRUPTED, str(int(number)), *arguments]
    child = subprocess.Popen(
        command,
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_interrupts,
    )
    assert child.wait() == code, child.stderr.read()
    assert group_ends(child.pid)
    if number != signal.SIGKILL:
        assert "the same command continues" in child.stderr.read()
        assert len(SuperpixelFolder(out).manifest()) >= 2
    child.stderr.close()
    assert 2 <= sum(name.startswith("labels/") for name in files_of(out)) <= 8
    assert run(images, out) == 0
    assert files_of(out) == files_of(made)


def group_ends(pid):
    """Whether the workers of a process that is gone end too."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            os.killpg(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_damage_is_listed_and_repaired(images, made, tmp_path, capsys):
    changed = tmp_path / "images"
    for name, data in files_of(images).items():
        (changed / name).parent.mkdir(parents=True, exist_ok=True)
        (changed / name).write_bytes(data)
    out = tmp_path / "out"
    assert run(changed, out) == 0
    assert run(changed, out, "--check") == 0
    labels = SuperpixelFolder(out)
    labels.file("0.png").unlink()
    labels.file("front/1.jpg").write_bytes(labels.file("front/1.jpg").read_bytes()[:-9])
    Image.fromarray(scene(99)).save(changed / "2.jpg")
    manifest = (out / "manifest.jsonl").read_text().splitlines(keepends=True)
    (out / "manifest.jsonl").write_text("".join(line for line in manifest if "4.jpg" not in line))
    before = files_of(out)
    capsys.readouterr()
    assert run(changed, out, "--check") == 1
    said = capsys.readouterr()
    for text in (
        "0.png: no such file",
        "front/1.jpg: damaged",
        "2.jpg: the image has changed",
        "4.jpg: manifest.jsonl has no such entry",
    ):
        assert text in said.err
    assert "4 have superpixels (0 made now), 4 have none" in said.out
    assert files_of(out) == before  # a check writes nothing
    assert run(changed, out) == 0
    assert "8 have superpixels (3 made now)" in capsys.readouterr().out
    assert run(changed, out, "--check") == 0


def test_a_file_left_half_written_is_replaced(images, made, tmp_path):
    out = tmp_path / "out"
    (out / "labels").mkdir(parents=True)
    (out / "labels" / ".0.png.png.partial").write_bytes(b"half")
    assert run(images, out) == 0
    assert files_of(out) == files_of(made)


def test_unreadable_images_are_named_and_the_rest_is_made(images, tmp_path, capsys):
    broken = tmp_path / "images"
    broken.mkdir()
    whole = (images / "2.jpg").read_bytes()
    (broken / "good.jpg").write_bytes(whole)
    (broken / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (broken / "text.png").write_bytes(b"no image")
    Image.fromarray(np.zeros((4, 5), np.uint16)).save(broken / "deep.png")
    assert run(broken, tmp_path / "out") == 1
    said = capsys.readouterr()
    assert "1 have superpixels (1 made now), 3 have none" in said.out
    for text in (
        "cut.jpg: no readable",
        "text.png: no readable",
        "deep.png: an image of mode I;16",
    ):
        assert text in said.err
    assert list(SuperpixelFolder(tmp_path / "out").manifest()) == ["good.jpg"]


def test_masks_are_imported_and_checked(images, tmp_path, capsys):
    masks, out = tmp_path / "masks", tmp_path / "out"
    for name in ("0.png", "2.png", "4.png"):  # for the images 0.png, 2.jpg, 4.jpg
        masks.mkdir(exist_ok=True)
        Image.fromarray(np.uint8(scene(int(name[0]))[..., 0] // 64 * 50)).save(masks / name)
    arguments = ["superpixels", f"{images}/*.*g", str(out), "--masks", str(masks), "--workers", "1"]
    assert main(arguments) == 1
    assert f"6.png: no such file\n  where: {masks}/6.png" in capsys.readouterr().err
    folder = SuperpixelFolder(out)
    assert sorted(folder.manifest()) == ["0.png", "2.jpg", "4.jpg"]
    np.testing.assert_array_equal(folder.load("2.jpg"), scene(2)[..., 0] // 64)
    Image.fromarray(np.zeros((90, 160), np.uint8)).save(masks / "2.png")
    assert main([*arguments, "--check"]) == 1
    assert "2.jpg: the image has changed" in capsys.readouterr().err
    assert main(["superpixels", f"{images}/*.*g", str(out), "--check"]) == 1
    assert "give --masks" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--set", "sigma=1"], "sigma: 3.0 there, 1.0 wanted"),
        (["--set", "sigma"], "sigma='' is no float"),
        (["--method", "masks"], "method masks without masks"),
        (["--workers", "0"], "workers = 0"),
        (["--root", "elsewhere"], "not below"),
    ],
)
def test_wrong_arguments(images, made, capsys, options, text):
    before = files_of(made)
    assert run(images, made, *options) == 1
    assert text in capsys.readouterr().err
    assert files_of(made) == before


def test_a_folder_that_cannot_be_written(images, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert run(images, tmp_path / "file" / "out") == 1
    assert "cannot write" in capsys.readouterr().err


def test_a_full_disk_ends_the_job_and_it_continues(images, made, tmp_path, monkeypatch):
    fsync, calls = os.fsync, []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) > 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    out, items = tmp_path / "out", list_items(str(images))
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(ConfigError, match=r"(?s)No space left.*free disk space.*continues"):
            prepare(items, out, METHOD)
    assert len(files_of(out)) == 1 + 3 + 1  # header, three images, lock; no part of a file
    assert prepare(items, out, METHOD).made == 5
    assert files_of(out) == files_of(made)


def test_a_folder_in_use(images, tmp_path):
    items = list_items(str(images))
    prepare(items[:1], tmp_path, METHOD)
    with (tmp_path / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="another process"):
            prepare(items, tmp_path, METHOD)
    assert prepare(items, tmp_path, METHOD).made == 7


@dataclass(frozen=True, kw_only=True)
class Dies:
    """A method whose process is killed, as for want of memory."""

    name: ClassVar[str] = "dies"
    version: ClassVar[int] = 1

    def labels(self, files, where):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_dies_ends_the_job(images, tmp_path):
    with pytest.raises(DataError, match=r"(?s)worker process died.*fewer --workers"):
        prepare(list_items(str(images)), tmp_path / "out", Dies(), workers=2)
