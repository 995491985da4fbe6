"""GeoTIFF as rasterio, a reader of its own, sees it."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest

from sensorfusion.datasets.simulated_region import RADAR_NODATA
from sensorfusion.errors import ConfigError, MissingDependencyError, UnitError
from sensorfusion.exports import geotiff
from sensorfusion.exports.command import export
from sensorfusion.exports.options import ExportOptions
from sensorfusion.geometry.rasters import map_points
from sensorfusion.sensors.optical import L2A_BANDS, reflectance_of
from sensorfusion.simulation.above.materials import CLASSES, PALETTE
from sensorfusion.simulation.above.region import make_region
from tests.sensors.windows import optical, radar

rasterio = pytest.importorskip("rasterio")
SIZE = 32


@pytest.fixture(scope="module")
def region():
    return make_region(0, 2, SIZE)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(geotiff, "SIZE", SIZE)
        done = []
        geotiff.write_regions(folder, (2, 9), 0, done.append)
        assert done == [1, 2]
    return folder


def test_the_folder_lists_what_it_holds(written):
    index = json.loads((written / "dataset.json").read_text())
    assert [entry["name"] for entry in index["scenes"]] == ["scene0002", "scene0009"]
    assert index["classes"]["land cover"] == list(CLASSES)
    names = {path.name for path in (written / "scene0002").iterdir()}
    pairs = {f"{what}_{date}.tif" for date in (1, 2) for what in ("optical", "radar", "land_cover")}
    masks = {f"{what}_quality_{date}.tif" for date in (1, 2) for what in ("optical", "radar")}
    assert names == pairs | masks | {"map.tif", "change.tif"}


def test_optical_reads_back_bit_equal(written, region):
    for date in (0, 1):
        with rasterio.open(written / "scene0002" / f"optical_{date + 1}.tif") as file:
            assert (file.crs.to_epsg(), file.nodata, file.dtypes[0]) == (32632, 0.0, "uint16")
            assert file.descriptions == L2A_BANDS
            assert set(file.units) == {"reflectance"}
            numbers, mask = file.read(), file.read_masks(1) > 0
            scaled = numbers * file.scales[0] + file.offsets[0]
            tags = file.tags()
        np.testing.assert_array_equal(mask, region.optical_valid[date])
        found = np.where(mask, reflectance_of(numbers), np.float32(0))
        np.testing.assert_array_equal(found, region.optical_DBHW[date])
        np.testing.assert_allclose(scaled[:, mask], region.optical_DBHW[date][:, mask], atol=1e-6)
        assert tags["level"] == "L2A"
        assert int(tags["time_ns"]) > 0


def test_radar_reads_back_bit_equal(written, region):
    with rasterio.open(written / "scene0002" / "radar_2.tif") as file:
        assert (file.descriptions, file.nodata) == (("VV", "VH"), RADAR_NODATA)
        assert set(file.units) == {"dB"}
        values, mask = file.read(), file.read_masks(1) > 0
    np.testing.assert_array_equal(mask, region.radar_valid[1])
    np.testing.assert_array_equal(np.where(mask, values, 0), region.radar_DBHW[1])


def test_pixels_lie_where_the_transform_says(written, region):
    with rasterio.open(written / "scene0002" / "optical_1.tif") as file:
        np.testing.assert_array_equal(np.reshape(file.transform[:6], (2, 3)), region.transform)
        expected = map_points(region.transform, np.array([[5.0, 3.0]]))[0]
        assert file.xy(3, 5) == pytest.approx(tuple(expected))
        assert file.index(*expected) == (3, 5)


def test_truth_has_names_and_colours(written, region):
    folder = written / "scene0002"
    with rasterio.open(folder / "land_cover_2.tif") as file:
        np.testing.assert_array_equal(file.read(1), region.label_DHW[1])
        assert file.colormap(1)[4][:3] == PALETTE[4]
        assert file.tags(1)["class_3"] == CLASSES[3]
        assert file.nodata == 255
    for name, expected in (
        ("change", region.change_HW),
        ("map", region.map_HW),
        ("radar_quality_1", region.radar_quality[0]),
        ("optical_quality_2", region.optical_quality[1]),
    ):
        with rasterio.open(folder / f"{name}.tif") as file:
            np.testing.assert_array_equal(file.read(1), expected, err_msg=name)


def test_files_are_cloud_optimised(tmp_path):
    raster = radar(300, 280).replace(nodata=RADAR_NODATA)
    geotiff.write_geotiff(tmp_path / "x.tif", raster)
    with rasterio.open(tmp_path / "x.tif") as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.block_shapes == [(128, 128)] * 2
        assert file.overviews(1) == [2, 4]


def test_masks_of_single_bands_are_kept(tmp_path):
    raster = radar().replace(nodata=RADAR_NODATA)
    geotiff.write_geotiff(tmp_path / "x.tif", raster)
    with rasterio.open(tmp_path / "x.tif") as file:
        np.testing.assert_array_equal(file.read_masks() > 0, raster.valid)


def test_pixels_that_would_become_nodata_are_refused(tmp_path):
    for nodata in (None, float(radar().values[0, 5, 5])):
        with pytest.raises(UnitError, match=r"(?s)nodata.*valid"):
            geotiff.write_geotiff(tmp_path / "x.tif", radar().replace(nodata=nodata))
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_nothing_that_looks_whole(tmp_path, monkeypatch, region):
    written = []

    def fail(path: Path, data: bytes, partial: Path) -> None:
        written.append(path)
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    monkeypatch.setattr(geotiff, "write_whole", fail)
    monkeypatch.setattr(geotiff, "make_region", lambda *_: region)
    with pytest.raises(ConfigError, match=r"(?s)No space left.*free disk space"):
        export("geotiff", ExportOptions(scenes=(2,)), tmp_path / "set")
    assert len(written) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["set.unfinished"]


def test_without_rasterio_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "rasterio", None)
    with pytest.raises(MissingDependencyError, match=r"-e \'\.\[geo\]\'"):
        geotiff.write_geotiff(tmp_path / "x.tif", optical().replace(nodata=0))
