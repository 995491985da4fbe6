"""Radar over optical: what the colours mean, and that both are of the same place."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from sensorfusion.datasets.simulated_region import SimulatedRegion
from sensorfusion.engine.command import main
from sensorfusion.report.maps import (
    checkered,
    colour_ranges,
    draw_overlay,
    in_false_colour,
    overlaid,
    tile_size,
)
from sensorfusion.report.preview import preview_figure
from sensorfusion.sample import Frame
from sensorfusion.sensors.optical import SSL4EO_L2A
from sensorfusion.sensors.radar import SSL4EO_GRD
from sensorfusion.sensors.raster import Quality
from sensorfusion.sensors.raster_prepare import NormaliseBands
from sensorfusion.simulation.above.materials import BUILT, TREES
from tests.sensors import windows

CONFIG = """
from sensorfusion.datasets.simulated_region import SimulatedRegion
from sensorfusion.encoders.heads import Projection
from sensorfusion.sensors.raster_augment import FlipRaster
from torch.optim import SGD

model = dict(type=Projection)  # never built
data = dict(
    train=dict(type=SimulatedRegion, scenes=(7,), size=64, chip=32, labels=True),
    transforms=[dict(type=FlipRaster, sensors=("optical", "radar", "map"), p=1.0)],
)
loader = dict(batch_size=2)
optimizer = dict(type=SGD)
train = dict(epochs=1)
"""


@pytest.fixture(scope="module")
def region():
    """The same place at two dates, at the edge of the optical swath."""
    return SimulatedRegion((7,), size=64, chip=64, labels=True)[0]


def pair(values=0.0, **changes):
    """Optical and radar on one grid of 12 x 9 pixels."""
    optical, radar = windows.optical(), windows.radar()
    radar = radar.replace(transform=optical.transform, axes=optical.axes, **changes)
    return Frame({"optical": optical, "radar": radar})


def drawn(frame):
    """The axes of optical, of both, and of radar; their figure is drawn."""
    figure = Figure(figsize=(12, 5), layout="constrained")
    axes = tuple(figure.subplots(1, 3))
    draw_overlay(axes, frame, "optical", "radar")
    figure.canvas.draw()
    return axes


def test_decibels_become_the_colours_that_the_caption_names():
    values = np.array([[[-20, -2, -11, -40]], [[-26, -9, -19.5, 5]]], np.float32)
    valid = np.array([[[True, True, True, False]]])
    radar = windows.radar(1, 4).replace(values=np.where(valid, values, 0), valid=valid)
    colours = in_false_colour(radar)[0]
    shares = [[0, 0, 3 / 11], [1, 1, 4 / 11], [0.5, 6.5 / 17, 5.5 / 11]]
    np.testing.assert_allclose(colours[:3], 255 * np.array(shares), atol=0.5 + 1e-4)
    assert colours[3].tolist() == [255, 255, 255]


def test_other_units_are_spread_by_what_is_valid():
    step = NormaliseBands(sensors=("it",), statistics=SSL4EO_GRD)
    radar = step.prepare(windows.radar(40, 50))
    (low, high), *_ = colour_ranges(radar)
    valid = radar.valid.all(axis=0)
    seen = radar.values[0][valid]
    assert [np.mean(seen < low), np.mean(seen < high)] == pytest.approx([0.02, 0.98], abs=0.005)
    colours = in_false_colour(radar)
    assert colours[valid].std() > 50
    assert (colours[~valid] == 255).all()


@pytest.mark.parametrize(("shape", "tile"), [((12, 9), 2), ((8, 8), 1), ((1, 1), 1), ((70, 3), 9)])
def test_tiles_take_turns_and_show_the_pixels_of_their_place(shape, tile):
    assert tile_size(shape) == tile
    one, two = np.zeros((*shape, 3), np.uint8), np.zeros((*shape, 3), np.uint8)
    one[..., 0], two[..., 0] = 1, 2
    one[..., 1] = two[..., 1] = np.arange(shape[0])[:, None]
    one[..., 2] = two[..., 2] = np.arange(shape[1])
    both = checkered(one, two, tile)
    np.testing.assert_array_equal(both[..., 1:], one[..., 1:])
    for row, column in np.ndindex(*shape):
        assert both[row, column, 0] == 1 + (row // tile + column // tile) % 2


def test_only_rasters_of_the_same_pixels_are_overlaid():
    assert overlaid(pair()) == (("optical", "radar"),)
    optical = windows.optical()
    for changes in (
        {"transform": optical.transform + np.array([[0.0, 0.0, 10.0], [0.0, 0.0, 0.0]])},
        {"axes": "EPSG:32633"},
        {
            "values": np.zeros((2, 12, 8), np.float32),
            "valid": np.ones((1, 12, 8), np.bool_),
            "label": None,
        },
    ):
        frame = Frame({"optical": optical, "radar": pair().readings["radar"].replace(**changes)})
        assert overlaid(frame) == ()


def test_three_pictures_of_one_place(region):
    frame = region.frames[0]
    axes = drawn(frame)
    optical, radar = (frame.readings[name] for name in ("optical", "radar"))
    shown = [np.asarray(place.images[0].get_array()) for place in axes]
    np.testing.assert_array_equal(shown[0], optical.in_true_colour())
    np.testing.assert_array_equal(shown[2], in_false_colour(radar))
    tile = tile_size(optical.size)
    np.testing.assert_array_equal(shown[1][:tile, :tile], shown[0][:tile, :tile])
    beside = np.s_[:tile, tile : 2 * tile]
    np.testing.assert_array_equal(shown[1][beside], shown[2][beside])
    # Both show the same land: roofs are bright beside trees, and trees turn VV into VH.
    clear = optical.valid[0] & (optical.quality == Quality.CLEAR)
    roofs, trees = (clear & (optical.label == kind) for kind in (BUILT, TREES))
    assert min(roofs.sum(), trees.sum()) > 100
    blue_HW, (_, green_HW, ratio_HW) = shown[0][..., 2], np.moveaxis(shown[2].astype(int), 2, 0)
    assert blue_HW[roofs].mean() > 1.3 * blue_HW[trees].mean()
    swing_HW = green_HW - ratio_HW
    assert swing_HW[trees].mean() > swing_HW[roofs].mean() + 15


def test_captions_say_units_scale_and_what_is_hidden(region):
    frame = region.frames[1]
    captions = [place.get_xlabel() for place in drawn(frame)]
    optical, radar = (frame.readings[name] for name in ("optical", "radar"))
    low, high = optical.tones()
    assert low == 0.0
    assert f"red B04, green B03, blue B02: 0 to {high:.2g} reflectance" in captions[0]
    assert "red VV -20 to -2, green VH -26 to -9, blue VV-VH 3 to 14 dB" in captions[2]
    assert all("columns of 10 m, EPSG:32632" in caption for caption in captions)
    assert "tiles of 80 m" in captions[1]
    for reading, caption, kind in (
        (optical, captions[0], Quality.CLOUD),
        (radar, captions[2], Quality.LAYOVER),
    ):
        share = float(re.search(rf"{kind.name.lower()} ([\d.e-]+) %", caption)[1])
        assert share == pytest.approx(100 * np.mean(reading.quality == kind), rel=0.01)
        valid = float(re.search(r"([\d.]+) % valid", caption)[1])
        assert valid == pytest.approx(100 * reading.valid.all(axis=0).mean(), rel=0.01)


def test_unmarked_clouds_are_said_to_be_unmarked():
    captions = [place.get_xlabel() for place in drawn(pair())]
    assert "cloud and cloud shadow not marked" in captions[0]
    assert "layover and radar shadow not marked" in captions[2]


def test_clouds_are_outlined_where_they_are():
    quality = np.zeros((12, 9), np.uint8)
    quality[4:9, 2:6] = Quality.CLOUD
    frame = pair()
    frame = Frame({**frame.readings, "optical": frame.readings["optical"].replace(quality=quality)})
    for place, outlined in zip(drawn(frame), (True, True, False), strict=True):
        paths = [
            path.vertices
            for drawing in place.collections
            for path, colour in zip(drawing.get_paths(), drawing.get_edgecolor(), strict=False)
            if tuple(colour) == (0.0, 1.0, 1.0, 1.0)
        ]
        assert bool(paths) is outlined
        if paths:
            corners = np.concatenate(paths)
            assert corners.min(axis=0).tolist() == [1.5, 3.5]
            assert corners.max(axis=0).tolist() == [5.5, 8.5]


def test_what_was_not_measured_is_hatched():
    """Pixel (0, 1) of the optical raster is not valid: white with lines across it."""
    frame = pair()
    figure = Figure(figsize=(12, 5), dpi=100, layout="constrained")
    axes = tuple(figure.subplots(1, 3))
    draw_overlay(axes, frame, "optical", "radar")
    file = io.BytesIO()
    figure.savefig(file)
    page = np.asarray(Image.open(file).convert("L")).astype(int)
    u, v = axes[0].transData.transform((1, 0))
    u, v = int(u), int(page.shape[0] - v)
    pixel = page[v - 10 : v + 10, u - 10 : u + 10]
    assert pixel.max() == 255
    assert 0.02 < np.mean(pixel < 100) < 0.6


def test_normalised_rasters_are_drawn_too(region):
    readings = dict(region.frames[0].readings)
    for name, table in (("optical", SSL4EO_L2A), ("radar", SSL4EO_GRD)):
        step = NormaliseBands(sensors=(name,), statistics=table)
        readings[name] = step.prepare(readings[name])
    axes = drawn(Frame(readings))
    assert SSL4EO_GRD.name in axes[2].get_xlabel()
    for place in axes:
        assert np.asarray(place.images[0].get_array()).std() > 30


def test_the_preview_of_a_region_shows_every_date(region, tmp_path, capsys):
    titles = [axes.get_title(loc="left") for axes in preview_figure([region]).axes]
    row = ["optical", "radar over optical", "radar"]
    assert [title for title in titles if title] == [*row, "map", *row]
    config = tmp_path / "region.py"
    config.write_text(CONFIG)
    assert main([str(config), "--preview", str(tmp_path / "first.png")]) == 0
    assert "optical 12 x 32 x 32, radar 2 x 32 x 32" in capsys.readouterr().out
    with Image.open(tmp_path / "first.png") as picture:
        assert np.asarray(picture).std(axis=(0, 1))[:3].min() > 20
