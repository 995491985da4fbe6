"""The page of a run: whole, safe, and true to what was recorded."""

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest
import torch

from sensorfusion.encoders.camera_pyramid import CameraPyramid
from sensorfusion.encoders.imu_temporal import ImuTemporal
from sensorfusion.encoders.minkunet import MinkUNet
from sensorfusion.errors import ConfigError, DataError
from sensorfusion.evaluation.run_folder import RunFolder
from sensorfusion.evaluation.segmentation_heads import save_head
from sensorfusion.evaluation.segmentation_results import RESULTS, Measurement, write
from sensorfusion.export import save_encoder
from sensorfusion.report.command import main
from sensorfusion.report.curves import POINTS, curves
from sensorfusion.report.page import html_of, page_of
from sensorfusion.report.payload import packed, script_json, unpacked
from sensorfusion.report.results import results

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&\u2028"
SIZE = (32, 48)
CAMERAS = ("camera.front", "camera.back")
WORLD = {"type": "sensorfusion.datasets.simulated:SimulatedWorld", "every": 9.0}


def cached(**changes):
    return {"type": "sensorfusion.datasets.dataset:Cached", "dataset": {**WORLD, **changes}}


def write_run(folder, note=EVIL):
    torch.manual_seed(0)
    lidar = MinkUNet(
        units=("m, intensity 0-1",), voxel=(1.0,) * 3, blocks=(1,) * 8, planes=(8,) * 8
    )
    camera = CameraPyramid(size=SIZE, channels=(4, 8), width=8)
    for name, encoder in (("lidar", lidar), ("camera", camera)):
        save_encoder(folder / "encoders" / name, encoder)
    seen = ["lidar", *CAMERAS]
    labelled = {"sensors": ["lidar"], "labels": True}
    config = {
        "model": {
            "encoders": {"lidar": {"type": "m:MinkUNet"}, "camera": {"type": "m:CameraPyramid"}},
            "sensors": {"lidar": "lidar", **dict.fromkeys(CAMERAS, "camera")},
            "terms": {note: {"term": {"type": note}, "matching": None, "weight": 1.0}},
        },
        "data": {"train": cached(scenes=[0], sensors=seen, image_size=list(SIZE))},
        "evaluation": {
            "sensor": "lidar",
            "train": cached(scenes=[0], **labelled),
            "test": cached(scenes=[5], **labelled),
        },
        "seed": 3,
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "provenance.json").write_text(json.dumps({"command": ["tools/pretrain.py", note]}))
    return RunFolder.open(folder)


def write_metrics(folder, steps):
    lines = [
        {"step": s, "epoch": 0, "loss": 1 / s, "loss/a": 0.5, "loss/b": 0.5, "rate": 0.1}
        for s in range(1, steps + 1)
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "metrics.jsonl").write_text(text + '{"step": 9')  # killed while writing
    return folder / "metrics.jsonl"


def measured(start, miou, seed=0):
    return Measurement(
        start=start,
        protocol="linear",
        fraction=1.0,
        seed=seed,
        miou=miou,
        iou={"car": miou, EVIL: None},
        scans=4,
        settings={},
        config_hash="c",
        checkpoint_hash="k",
        versions={},
        command="tools/segment.py",
    )


def document_of(html):
    """The JSON that the page's script reads."""
    found = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)
    assert len(found) == 1
    return json.loads(found[0])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def page(run):
    return page_of(run)


def test_the_page_needs_nothing_beside_itself(page):
    html = html_of(page)
    assert "/* page" not in html
    assert "/* data" not in html
    script = re.sub(r'<script type="application/json".*?</script>', "", html, flags=re.S)
    assert not re.search(r"<[^>]*\s(src|href)\s*=", script)
    assert re.findall(r"https?://[\w./]+", script) == ["http://www.w3.org/2000/svg"]  # a name
    assert not re.search(r"\b(fetch|import|XMLHttpRequest|innerHTML|document\.write)\b", script)
    for camera in page["scene"]["cameras"]:
        assert camera["image"].startswith("data:image/jpeg;base64,")


def test_texts_of_a_run_cannot_leave_their_element(page):
    html = html_of({**page, "segmentation": {"tasks": [{"title": EVIL}]}})
    assert "alert(1)</script>" not in html
    assert "<img" not in html
    assert html.count("<script") == 2
    document = document_of(html)
    assert document["model"][-1]["name"] == EVIL
    assert document["provenance"]["command"][1] == EVIL
    assert document["segmentation"]["tasks"][0]["title"] == EVIL


def test_json_for_a_script_is_the_same_json():
    document = {"a<b": [EVIL, 1.5, None, "&amp;"]}
    text = script_json(document)
    assert json.loads(text) == document
    assert not set("<>&") & set(text)
    with pytest.raises(ValueError, match="JSON"):
        script_json({"loss": float("nan")})


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32])
def test_arrays_come_back(dtype):
    array = np.arange(-6, 6).astype(dtype).reshape(3, 4)
    for given in (array, array.T, array[:0], array.astype(array.dtype.newbyteorder(">"))):
        assert np.array_equal(unpacked(packed(given)), given)


def test_the_scene_is_a_test_scan_with_the_cameras_of_the_training(page):
    scene = page["scene"]
    assert (scene["id"], scene["split"]) == ("scene0005_01000ms", "test")
    assert [camera["name"] for camera in scene["cameras"]] == list(CAMERAS)
    place_N3, label_N = unpacked(scene["place"]), unpacked(scene["label"])
    assert len(place_N3) == len(label_N) == len(unpacked(scene["prediction"]["predicted"]))
    assert set(label_N) - {255} == set(scene["present"])
    assert len(scene["palette"]) == len(scene["names"]) == 16
    front, back = (unpacked(camera["point"]) for camera in scene["cameras"])
    assert place_N3[front, 0].min() > 0 > place_N3[back, 0].max()
    uv = unpacked(scene["cameras"][0]["uv"]) / 16
    assert uv.min() > -0.6
    assert (uv.max(0) < (SIZE[1], SIZE[0])).all()


def test_reduced_features_keep_the_cosines(run, page):
    given = page["scene"]["similarity"]
    points = unpacked(given["points"]["vectors"]) * given["points"]["scale"]
    rows = unpacked(given["rows"])
    encoders, scene = run.load(), page["scene"]
    assert given["kept"] == pytest.approx(1.0)  # 8 of 8 dimensions
    assert {
        c: tuple(g["vectors"]["shape"][:2]) for c, g in given["cameras"].items()
    } == dict.fromkeys(CAMERAS, (SIZE[0] // 4, SIZE[1] // 4))
    from sensorfusion.report.scene import scene_of

    shown = scene_of(run)
    tokens = torch.nn.functional.normalize(encoders["lidar"](shown.cloud).tokens, dim=1)[rows]
    image = encoders["camera"](shown.image("camera.back")).tokens
    wanted = tokens @ torch.nn.functional.normalize(image, dim=1).T
    coded = given["cameras"]["camera.back"]
    pixels = (unpacked(coded["vectors"]) * coded["scale"]).reshape(-1, 8)
    np.testing.assert_allclose(points @ pixels.T, wanted, atol=0.02)
    first = given["examples"][0]
    label = unpacked(scene["label"])[rows[first["point"]]]
    assert scene["names"][label] == first["name"]


def test_the_prediction_is_that_of_the_measured_head(run, page, tmp_path):
    """A head that always says class 3 is drawn as such; without one, a head is trained."""
    assert not page["scene"]["prediction"]["measured"]
    copy = shutil.copytree(run.path, tmp_path / "run")
    run = RunFolder.open(copy)
    probe = dataclasses.replace(
        measured("pretrained", 10.0), checkpoint_hash=run.checkpoint_hash, settings={"points": 7}
    )
    write(copy / "segmentation" / RESULTS, [measured("random", 5.0), probe])
    head = torch.nn.Linear(8, len(page["scene"]["names"]))
    torch.nn.init.zeros_(head.weight)
    head.bias.data = torch.eye(len(head.bias))[3]
    save_head(copy / "segmentation", probe.key, head)
    shown = page_of(run)["scene"]["prediction"]
    assert (shown["measured"], shown["scans"], shown["points"]) == (True, 4, 7)
    assert (unpacked(shown["predicted"]) == 3).all()
    write(copy / "segmentation" / RESULTS, [dataclasses.replace(probe, checkpoint_hash="other")])
    assert not page_of(run)["scene"]["prediction"]["measured"]


def test_without_results_curves_or_provenance_the_parts_are_absent(run, page):
    assert page["segmentation"] is None
    assert page["curves"] is None
    assert "scene" not in {k for k, v in page_of(run, scene=False).items() if v is not None}


def test_results_stand_beside_their_floors(tmp_path):
    path = tmp_path / "segmentation.json"
    pairs = [("pretrained", 30.0, 0), ("random", 20.0, 0), ("pretrained", 34.0, 1)]
    write(path, [measured(*entry) for entry in pairs])
    (task,) = results(path)["tasks"]
    pretrained, random = task["starts"]
    assert (pretrained["mean"], pretrained["seeds"], random["mean"]) == (32.0, 2, 20.0)
    assert random["deviation"] is None
    assert task["gains"] == [{"seed": 0, "gain": 10.0}]
    assert task["classes"][0] == {"name": "car", "pretrained": 32.0, "random": 20.0}
    assert task["classes"][1] == {"name": EVIL, "pretrained": None, "random": None}
    assert results(tmp_path / "nothing.json") is None


def test_a_run_without_points_opens_no_data(tmp_path):
    """Its recordings need not be on the machine that writes the page."""
    imu = ImuTemporal(units=("m/s^2, rad/s",))
    save_encoder(tmp_path / "encoders" / "imu", imu)
    config = {
        "model": {"sensors": {"imu.1": "imu", "imu.2": "imu"}},
        "data": {"train": {"type": "sensorfusion.datasets.utd_mhad:UtdMhad", "root": "nowhere"}},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    page = page_of(RunFolder.open(tmp_path))
    assert page["scene"] is None
    assert page["data"] == "UtdMhad"
    html_of(page)


@pytest.mark.parametrize("steps", [1, POINTS, 3 * POINTS + 1])
def test_curves_are_means_of_the_steps(tmp_path, steps):
    found = curves(write_metrics(tmp_path, steps))
    assert len(found["steps"]) <= POINTS
    assert found["steps"][-1] == steps
    loss = found["panels"][0]
    assert [curve["name"] for curve in loss["curves"]] == ["loss", "a", "b"]
    size = found["averaged"]
    assert loss["curves"][0]["values"][0] == pytest.approx(
        np.mean([1 / s for s in range(1, size + 1)])
    )
    assert [panel["title"] for panel in found["panels"]] == ["Loss", "Learning rate"]


def test_values_that_are_not_finite_are_gaps(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "epoch": 0, "loss": NaN}\n{"step": 2, "epoch": 0, "loss": 2.0}\n')
    found = curves(path)
    assert found["panels"][0]["curves"][0]["values"] == [None, 2.0]
    script_json(found)


def test_metrics_of_something_else_are_refused(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("not json\n")
    with pytest.raises(DataError, match=r"metrics\.jsonl"):
        curves(path)


def test_an_unknown_sample_is_refused(run):
    with pytest.raises(ConfigError, match="no sample 9"):
        page_of(run, sample=9)


def test_the_command_writes_the_page(run, tmp_path, capsys):
    write_metrics(run.path, 5)
    out = tmp_path / "page.html"
    assert main([str(run.path), "--out", str(out), "--no-scene"]) == 0
    assert document_of(out.read_text())["curves"]["steps"] == [1, 2, 3, 4, 5]
    assert str(out) in capsys.readouterr().out
    assert main([str(tmp_path / "nothing")]) == 1
    assert "not a run" in capsys.readouterr().err
