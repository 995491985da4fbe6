"""Previews: what is written, and that nothing is trained."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sensorfusion.engine.command import main
from sensorfusion.engine.preview import first_samples
from sensorfusion.engine.recipe import read_recipe
from sensorfusion.report.overlay import borders, panorama, projected, registered
from sensorfusion.report.preview import coloured_points, ply_of, preview_figure

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
QUICKSTART, PEOPLE = str(CONFIGS / "quickstart.py"), str(CONFIGS / "simulated_people" / "cmc.py")
SMALL = ["data.train.dataset.scenes=(0,)", "data.train.dataset.image_size=(48, 80)"]


@pytest.fixture(scope="module")
def street():
    return first_samples(read_recipe(QUICKSTART, SMALL))


def test_the_samples_are_those_of_the_first_batch_after_all_transforms(street):
    assert len(street) == 2
    frame = street[0].frames[0]
    assert all(frame.readings[name].segments is not None for name in registered(frame, "lidar"))
    # The scan was turned (or mirrored) about z; the pose undoes it, so cameras still fit.
    assert not np.allclose(frame.poses["lidar"][:3, :3], np.eye(3), atol=0.01)
    again = first_samples(read_recipe(QUICKSTART, SMALL))
    assert [sample.id for sample in again] == [sample.id for sample in street]
    np.testing.assert_array_equal(
        again[0].frames[0].readings["lidar"].points, frame.readings["lidar"].points
    )


def test_points_lie_over_the_pixels_that_show_them(street):
    """Mirrored and turned points project as the distances to the camera say."""
    frame = street[0].frames[0]
    points = frame.readings["lidar"].points.astype(np.float64)
    world = points @ frame.poses["lidar"][:3, :3].T + frame.poses["lidar"][:3, 3]
    for name in registered(frame, "lidar"):
        point_E, uv_E2, depth_E = projected(frame, "lidar", name)
        assert len(point_E) > 100
        pose, intrinsics = frame.poses[name], frame.calibration[name]["intrinsics"]
        seen = (world[point_E] - pose[:3, 3]) @ pose[:3, :3]
        np.testing.assert_allclose(seen[:, 2], depth_E, atol=1e-3)
        pixels = seen @ intrinsics.T
        np.testing.assert_allclose(pixels[:, :2] / pixels[:, 2:], uv_E2, atol=0.01)


def test_cameras_are_ordered_as_in_a_panorama():
    from sensorfusion.datasets.simulated import CAMERAS, SimulatedWorld

    sensors = ("lidar", *sorted(CAMERAS))
    frame = SimulatedWorld((0,), image_size=(8, 16), sensors=sensors)[0].frames[0]
    order = ["front_left", "front", "front_right", "back_left", "back", "back_right"]
    assert panorama(frame, "lidar") == tuple(f"camera.{name}" for name in order)


def test_borders_are_between_segments_only():
    segments = np.array([[0, 0, 1], [0, 0, 1], [2, 2, 2]])
    assert borders(segments).astype(int).tolist() == [[0, 1, 0], [1, 1, 1], [0, 0, 0]]
    assert not borders(np.zeros((3, 4))).any()


def test_a_picture_shows_every_sensor(street):
    figure = preview_figure(street)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    for sample in street:
        assert set(sample.frames[0].readings) <= set(titles)
    assert titles.count("lidar") == len(street)


def test_the_imu_stands_beside_the_skeleton_of_the_same_time():
    few = ["data.train.dataset.length=64"]
    sample = first_samples(read_recipe(PEOPLE, few))[0]
    figure = preview_figure([sample])
    figure.canvas.draw()
    places = {axes.get_title(loc="left"): axes for axes in figure.axes}
    imu, skeleton = (sample.frames[0].readings[name] for name in ("imu", "skeleton"))
    left, right = (places[name].get_window_extent() for name in ("imu", "skeleton"))
    assert left.x1 < right.x0
    assert left.y0 < right.y1
    assert right.y0 < left.y1
    for column, line in enumerate(places["imu"].get_lines()):
        np.testing.assert_array_equal(line.get_xdata(), imu.clock.times_T)
        np.testing.assert_array_equal(line.get_ydata(), imu.acceleration[:, column])
    # The last body that is drawn is that of the last moment, and its tick says when that was.
    bones = skeleton.tree.bones
    for line, ends in zip(places["skeleton"].get_lines()[-len(bones) :], bones, strict=True):
        np.testing.assert_allclose(line.get_ydata(), skeleton.joints[-1][list(ends), 1])
    last = places["skeleton"].get_xticklabels()[-1].get_text()
    assert last == f"{skeleton.clock.times_T[-1]:.2f}"
    assert abs(skeleton.clock.times_T[-1] - imu.clock.times_T[-1]) < 0.5
    assert "torso lengths" in places["skeleton"].get_ylabel()
    assert "(g)" in places["imu"].get_ylabel()


@pytest.mark.parametrize("config", [QUICKSTART, PEOPLE])
def test_the_command_writes_a_picture_and_trains_nothing(config, tmp_path, capsys):
    options = SMALL if config == QUICKSTART else ["data.train.dataset.length=64"]
    work_dir = tmp_path / "run"
    arguments = [config, "--preview", "--work-dir", str(work_dir), "--cfg-options", *options]
    assert main(arguments) == 0
    assert [path.name for path in work_dir.iterdir()] == ["preview.png"]
    with Image.open(work_dir / "preview.png") as picture:
        values = np.asarray(picture.convert("L"))
    assert values.shape[1] > 800
    assert values.std() > 10  # not an empty page
    assert "wrote" in capsys.readouterr().out


def test_points_have_the_colours_of_their_pixels(street):
    frame = street[0].frames[0]
    world_N3, colour_N3 = coloured_points(frame)
    camera = registered(frame, "lidar")[-1]
    point_E, uv_E2, _ = projected(frame, "lidar", camera)
    u, v = np.rint(uv_E2[0]).astype(int)
    assert colour_N3[point_E[0]].tolist() == frame.readings[camera].pixels[0, v, u].tolist()
    assert np.ptp(world_N3[:, 2]) < 60


def test_ply_files_hold_the_points():
    points, colours = (
        np.array([[1.5, -2.0, 3.0], [0.0, 0.25, 9.0]]),
        np.array([[1, 2, 3], [255, 0, 9]]),
    )
    data = ply_of(points, colours)
    head, _, body = data.partition(b"end_header\n")
    assert head.startswith(b"ply\nformat binary_little_endian 1.0\nelement vertex 2\n")
    assert len(body) == 2 * 15
    assert np.frombuffer(body[15:27], "<f4").tolist() == [0.0, 0.25, 9.0]
    assert list(body[27:]) == [255, 0, 9]


def test_what_cannot_be_written_is_said(tmp_path, capsys):
    few = ["--cfg-options", "data.train.dataset.length=64"]
    assert main([PEOPLE, "--preview", str(tmp_path / "x.gif"), *few]) == 1
    assert ".png, .ply, .rrd" in capsys.readouterr().err
    assert main([PEOPLE, "--preview", str(tmp_path / "x.ply"), *few]) == 1
    assert "a sample without points" in capsys.readouterr().err


def test_without_rerun_the_extra_is_named(street, tmp_path, monkeypatch):
    import sys

    from sensorfusion.errors import MissingDependencyError
    from sensorfusion.report.preview import write_preview

    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(MissingDependencyError, match=r"-e \'\.\[viz\]\'"):
        write_preview(street, tmp_path / "x.rrd")
    assert not list(tmp_path.iterdir())
