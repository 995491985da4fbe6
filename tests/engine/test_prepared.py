"""A training that looks up superpixels: all there, or refused before its first step."""

from __future__ import annotations

import functools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

from sensorfusion import prepare
from sensorfusion.datasets.dataset import Cached
from sensorfusion.encoders.encoder import Encoder
from sensorfusion.engine.runner import pretrain
from sensorfusion.engine.superpixels import run
from sensorfusion.errors import ConfigError, PreparationError
from sensorfusion.geometry.clock import Clock
from sensorfusion.matching.moments import Moments
from sensorfusion.model import Pretrainer, Weighted
from sensorfusion.objectives.term import Term
from sensorfusion.sample import Features, Frame, Sample
from sensorfusion.sensors.camera import SRGB, CameraImage
from sensorfusion.sensors.camera_augment import FlipImage
from sensorfusion.sensors.camera_prepared import PreparedSuperpixels
from sensorfusion.sensors.camera_segments import Superpixels
from sensorfusion.superpixels.slic import Slic
from tests.engine import engine_processes as processes
from tests.engine import engine_toy as toy
from tests.superpixels.pictures import scene

main = functools.partial(prepare.main, of_config=run)
SLIC = {"segments": 12, "sigma": 1.0}
COUNT = 6
REPOSITORY = Path(__file__).resolve().parents[2]


def image(pixels_HW3, source):
    return CameraImage(
        clock=Clock.instant(0), axes="pixels", unit=SRGB, source=source, pixels=pixels_HW3[None]
    )


class Photographs:
    """Image files, or the same pictures made in memory; sample 0 has no second camera."""

    sensors: ClassVar = {"front": CameraImage, "back": CameraImage}
    class_names: ClassVar = {}

    def __init__(self, folder=None):
        self.folder = folder

    def __len__(self):
        return COUNT

    def __getitem__(self, index):
        readings = {name: self.photograph(name, index) for name in self.sensors}
        if index == 0:
            del readings["back"]
        return Sample(f"{index}", (Frame(readings),))

    def photograph(self, name, index):
        if self.folder is None:
            return image(pixels(name, index), f"sensor {name!r}, picture {index}")
        path = Path(self.folder, name, f"{index}.png")
        return image(np.asarray(Image.open(path)), str(path))


def pixels(name, index):
    return scene(2 * index + (name == "back"), 30, 48)


class Mean(Encoder):
    """A token an image, from the mean and spread of its segments' numbers."""

    reading, units = CameraImage, (SRGB,)

    def __init__(self):
        super().__init__()
        self.width, self.layer = 4, torch.nn.Linear(2, 4)

    def forward(self, batch):
        segments_PHW = batch.values["segments"][:, 0].float()
        statistics = torch.stack([segments_PHW.mean((1, 2)), segments_PHW.std((1, 2))], dim=1)
        return Features.one_per_reading(self.layer(statistics), batch)


class Spread(Term):
    def forward(self, features, correspondence, targets):
        return {"spread": sum(f.tokens.square().mean() for f in features.values())}


def model():
    terms = {"spread": Weighted(Spread(), Moments(("front", "back")))}
    return Pretrainer({"camera": Mean()}, dict.fromkeys(Photographs.sensors, "camera"), terms)


def prepared(folder, images=None):
    named = {} if images is None else {"images": str(images)}
    method = {"type": Slic, **SLIC}
    cameras = tuple(Photographs.sensors)
    return {
        "type": PreparedSuperpixels, "sensors": cameras, "folder": str(folder),
        "method": method, **named,
    }  # fmt: skip


def config(step, images=None, *, cached=False, workers=0):
    train = {"type": Photographs, "folder": None if images is None else str(images)}
    if cached:
        train = {"type": Cached, "dataset": train, "transforms": [step]}
    return {
        "model": {"type": model},
        "data": {"train": train, "transforms": [] if cached else [step]},
        "loader": {"batch_size": 3, "workers": workers},
        "optimizer": {"type": torch.optim.SGD, "lr": 1e-3},
        "train": {"epochs": 1},
        "hooks": [{"type": toy.Trace}],
    }


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Twelve files, of which samples show eleven."""
    root = tmp_path_factory.mktemp("images")
    for name in Photographs.sensors:
        (root / name).mkdir()
        for index in range(COUNT):
            Image.fromarray(pixels(name, index)).save(root / name / f"{index}.png")
    return root


def settings():
    return ["--set", *(f"{key}={value}" for key, value in SLIC.items()), "--workers", "1"]


@pytest.fixture
def folder(images, tmp_path):
    made = tmp_path / "made it"  # a space, for the command that mends
    assert main(["superpixels", str(images), str(made), *settings()]) == 0
    return made


def weights(work_dir):
    from sensorfusion.checkpoint import read_folder
    from sensorfusion.engine.checkpoints import existing

    tensors, _ = read_folder(existing(work_dir)[-1])
    return {name: value for name, value in tensors.items() if name.startswith("model/")}


def steps_done(work_dir):
    return (work_dir / "ids_0.jsonl").exists()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_training_is_that_with_segments_found_on_the_fly(images, folder, tmp_path, workers):
    fly = {"type": Superpixels, "sensors": tuple(Photographs.sensors)}
    fly["slic"] = {"type": Slic, **SLIC}
    assert pretrain(config(fly, images), tmp_path / "fly") == 0
    looked_up = config(prepared(folder, images), images, workers=workers)
    assert pretrain(looked_up, tmp_path / "run") == 0
    found, expected = weights(tmp_path / "run"), weights(tmp_path / "fly")
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_segments_equal_those_found_on_the_fly(images, folder):
    generator = np.random.default_rng(0)
    step = PreparedSuperpixels(
        sensors=("front",), folder=str(folder), images=str(images), method=Slic(**SLIC)
    )
    reading = step(Photographs(images)[3], generator).frames[0].readings["front"]
    expected = Slic(**SLIC).segment(pixels("front", 3))
    assert len(np.unique(expected)) > 4
    np.testing.assert_array_equal(reading.segments[0], expected)
    back = step(Photographs(images)[3], generator).frames[0].readings["back"]
    assert back.segments is None


def spoil(folder, images):
    """One entry gone, one cut short, one of an image that has changed since."""
    (folder / "labels" / "front" / "4.png.png").unlink()
    cut = folder / "labels" / "back" / "2.png.png"
    cut.write_bytes(cut.read_bytes()[:-20])
    outdated = folder / "labels" / "back" / "3.png.png"
    outdated.write_bytes((folder / "labels" / "back" / "5.png.png").read_bytes())


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("workers", [0, 2])
def test_faults_are_listed_before_the_first_step_with_what_mends_them(
    images, folder, tmp_path, cached, workers
):
    spoil(folder, images)
    settings = config(prepared(folder, images), images, cached=cached, workers=workers)
    with pytest.raises(PreparationError) as caught:
        pretrain(settings, tmp_path / "run")
    text = str(caught.value)
    assert not steps_done(tmp_path / "run")
    assert "3 images" in text
    assert re.search(r"front/4\.png: no such file", text)
    assert re.search(r"back/2\.png: damaged superpixels: its part \w+ is cut short", text)
    assert re.search(r"back/3\.png: the image has changed since", text)
    assert "front/3.png" not in text
    assert str(folder) in caught.value.where
    words = shlex.split(caught.value.remedy)
    assert words[:2] == ["python", "tools/prepare.py"]
    assert main([*words[2:], "--workers", "1"]) == 0
    assert pretrain(settings, tmp_path / "run") == 0


def test_an_entry_that_is_lost_later_stops_the_run_even_where_corrupt_samples_are_skipped(
    images, folder, tmp_path
):
    settings = config(prepared(folder, images), images)
    settings["data"]["corrupt"] = {"policy": "skip", "cap": 5}
    settings["train"]["epochs"] = 3
    settings["hooks"] = [{"type": Losing, "folder": str(folder)}]
    with pytest.raises(PreparationError, match=r"front/.\.png.*no such file"):
        pretrain(settings, tmp_path / "run")


class Losing(toy.Hook):
    """Takes all entries of the front away after the first step."""

    def __init__(self, folder):
        self.folder = folder

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        for path in Path(self.folder, "labels", "front").glob("*.png"):
            path.unlink()


def test_two_ranks_end_together_and_one_says_why(images, folder, tmp_path):
    spoil(folder, images)
    settings = config(prepared(folder, images), images)
    assert processes.run(tmp_path / "run", settings, ranks=2) == [processes.ERROR] * 2
    first, second = (processes.error_text(tmp_path / "run", rank) for rank in (0, 1))
    assert first.startswith("PreparationError: superpixels of 3 images")
    assert "the error of rank 0 says why" in second
    assert not steps_done(tmp_path / "run")


def test_the_folder_itself_is_missing_or_of_other_settings(images, folder, tmp_path):
    with pytest.raises(PreparationError, match="no folder of superpixels") as caught:
        pretrain(config(prepared(tmp_path / "none", images), images), tmp_path / "run")
    assert f"superpixels {images} {tmp_path / 'none'} --method slic" in caught.value.remedy
    other = prepared(folder, images)
    other["method"] = {"type": Slic, "segments": 13}
    with pytest.raises(ConfigError, match="segments: 12 there, 13 wanted"):
        pretrain(config(other, images), tmp_path / "run")
    assert not steps_done(tmp_path / "run")


def test_a_look_up_after_a_random_change_is_refused(images, folder, tmp_path):
    settings = config(prepared(folder, images), images)
    settings["data"]["transforms"].insert(0, {"type": FlipImage, "sensors": ("back",)})
    with pytest.raises(ConfigError, match="FlipImage changes samples at random before"):
        pretrain(settings, tmp_path / "run")


IN_MEMORY = """
from sensorfusion.datasets.dataset import Cached
from sensorfusion.sensors.camera_prepared import PreparedSuperpixels
from sensorfusion.superpixels.slic import Slic
from tests.engine.test_prepared import Photographs, model as _model
from torch.optim import SGD

_step = dict(
    type=PreparedSuperpixels,
    sensors=("front", "back"),
    folder="{folder}",
    method=dict(type=Slic, segments=12, sigma=1.0),
)
model = dict(type=_model)
data = {data}
loader = dict(batch_size=3)
optimizer = dict(type=SGD, lr=1e-3)
train = dict(epochs=1)
"""
DATA = {
    False: "dict(train=dict(type=Photographs), transforms=[_step])",
    True: "dict(train=dict(type=Cached, dataset=dict(type=Photographs), transforms=[_step]))",
}


def write_config(path, folder, cached=False):
    path.write_text(IN_MEMORY.format(folder=folder, data=DATA[cached]))
    return str(path)


@pytest.mark.parametrize("cached", [False, True])
def test_images_in_memory_are_prepared_from_the_config(tmp_path, capsys, cached):
    folder = tmp_path / "made"
    settings = config(prepared(folder), cached=cached)
    with pytest.raises(PreparationError, match="no folder") as caught:
        pretrain(settings, tmp_path / "run")
    assert "tools/prepare.py superpixels CONFIG" in caught.value.remedy
    path = write_config(tmp_path / "config.py", folder, cached)
    assert main(["superpixels", path, "--workers", "1"]) == 0
    assert "11 images: 11 have superpixels (11 made now)" in capsys.readouterr().out
    entries = sorted((folder / "labels").rglob("*.png"))
    assert len(entries) == 2 * COUNT - 1
    spoilt = entries[3]
    good = spoilt.read_bytes()
    spoilt.write_bytes(good[:60] + b"x" + good[61:])
    entries[-1].unlink()
    with pytest.raises(PreparationError, match="2 images") as caught:
        pretrain(settings, tmp_path / "run")
    for entry in (spoilt, entries[-1]):
        assert entry.name.removesuffix(".png") in caught.value.what
    assert not steps_done(tmp_path / "run")
    assert main(["superpixels", path, "--workers", "1", "--check"]) == 1
    assert main(["superpixels", path, "--workers", "1"]) == 0
    assert "(2 made now)" in capsys.readouterr().out
    assert spoilt.read_bytes() == good
    assert main(["superpixels", path, "--workers", "1", "--check"]) == 0
    assert pretrain(settings, tmp_path / "run") == 0


def test_two_processes_make_the_same_from_a_config(tmp_path):
    for workers in ("1", "2"):
        path = write_config(tmp_path / f"config_{workers}.py", tmp_path / workers)
        command = [sys.executable, "tools/prepare.py", "superpixels", path]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        subprocess.run(
            [*command, "--workers", workers], check=True, cwd=REPOSITORY, env=environment
        )
    one, two = (
        {p.relative_to(tmp_path / w): p.read_bytes() for p in (tmp_path / w).rglob("*.*")}
        for w in ("1", "2")
    )
    assert one == two


@pytest.mark.parametrize(
    "arguments", [["OUT"], ["--method", "slic"], ["--set", "segments=3"], ["--root", "."]]
)
def test_a_config_has_all_settings(tmp_path, capsys, arguments):
    path = write_config(tmp_path / "config.py", tmp_path / "made")
    assert main(["superpixels", path, *arguments]) == 1
    assert "the config alone" in capsys.readouterr().err
