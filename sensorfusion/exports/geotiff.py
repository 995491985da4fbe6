"""Rasters as GeoTIFF, and simulated regions as a data set of GeoTIFF pairs.

Needs rasterio (the extra `geo`). Files are cloud-optimised: tiled, with overviews in front.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sensorfusion.datasets.simulated_region import raster_of
from sensorfusion.errors import MissingDependencyError, UnitError
from sensorfusion.files import write_whole
from sensorfusion.sample import Array
from sensorfusion.sensors.optical import L2A_OFFSET, L2A_SCALE, numbers_of
from sensorfusion.sensors.raster import CLASS, REFLECTANCE, UNKNOWN, Quality, Raster
from sensorfusion.simulation import WORLD_VERSION
from sensorfusion.simulation.above.materials import CHANGES, CLASSES, PALETTE, WORLDCOVER
from sensorfusion.simulation.above.region import CRS, make_region, world_offset

SIZE = 256  # pixels of a region
TILE = 128
ROLES = {"label": "land cover", "change": "change", "quality": "quality"}
NAMES = {
    "land cover": list(CLASSES),
    "change": list(CHANGES),
    "quality": [quality.name.lower() for quality in Quality],
}


def write_regions(
    folder: Path,
    scenes: Sequence[int],
    seed: int,
    report: Callable[[int], None] = lambda _: None,
) -> None:
    """Write the regions of some scenes: a folder each, and `dataset.json`.

    Of each date D: `optical_D.tif` (uint16 digital numbers as in a Sentinel-2 L2A product, with
    scale and offset), `radar_D.tif` (float32 dB), `optical_quality_D.tif`, `radar_quality_D.tif`
    and `land_cover_D.tif` (uint8); once `map.tif` and `change.tif`.

    Args:
        report: called with the number of scenes done.
    """
    listed = []
    for done, scene in enumerate(scenes):
        region = make_region(seed, scene, SIZE)
        name = f"scene{scene:04d}"
        files: dict[str, Raster] = {"map": raster_of(region, "map", 0, labels=False)}
        for date in (0, 1):
            for sensor in ("optical", "radar"):
                files[f"{sensor}_{date + 1}"] = raster_of(region, sensor, date, labels=True)
        _write_scene(folder / name, files)
        listed.append({"name": name, "scene": scene, "world_origin": world_offset(scene)})
        report(done + 1)
    index = {
        "format": "simulated region, GeoTIFF",
        "world_version": WORLD_VERSION,
        "seed": seed,
        "crs": CRS,
        "classes": NAMES,
        "worldcover": WORLDCOVER,
        "scenes": listed,
    }
    data = (json.dumps(index, indent=2) + "\n").encode()
    write_whole(folder / "dataset.json", data, folder / ".dataset.json")


def _write_scene(folder: Path, files: dict[str, Raster]) -> None:
    for name, raster in files.items():
        write_geotiff(folder / f"{name}.tif", raster)
    for date in ("1", "2"):
        optical = files[f"optical_{date}"]
        _write_truth(folder / f"land_cover_{date}.tif", optical, "label")
        for sensor in ("optical", "radar"):
            raster = files[f"{sensor}_{date}"]
            _write_truth(folder / f"{sensor}_quality_{date}.tif", raster, "quality")
    _write_truth(folder / "change.tif", files["optical_2"], "change")


def _write_truth(path: Path, raster: Raster, role: str) -> None:
    plane = getattr(raster, role)
    if plane is not None:
        tags = {"time_ns": _time(raster), "unit": CLASS}
        _write(path, plane[None], raster, UNKNOWN, (ROLES[role],), tags)


def write_geotiff(path: Path, raster: Raster) -> None:
    """Write a raster, so that it reads back the same.

    Reflectance becomes a Sentinel-2 L2A product's digital numbers, with scale and offset in the
    file; classes become bytes; other values stay float32. What is not valid becomes `nodata`.

    Raises:
        UnitError: on a raster without a `nodata` value, or one that valid pixels have.
        MissingDependencyError: without rasterio.
        OSError: when it cannot be written.
    """
    values, nodata = _stored(raster), raster.nodata
    if nodata is None or np.any(values == nodata, where=raster.valid):
        raise UnitError(
            f"nodata {nodata} does not tell valid pixels from others",
            where=raster.source,
            remedy="give the raster a `nodata` value that no valid pixel has",
        )
    values = np.where(raster.valid, values, np.array(nodata, values.dtype))
    tags = {"level": raster.level, "time_ns": _time(raster), "unit": raster.unit}
    _write(path, values, raster, nodata, raster.bands, tags)


def _stored(raster: Raster) -> Array:
    if raster.unit == REFLECTANCE:
        return numbers_of(raster.values)
    return raster.values.astype(np.uint8) if raster.unit == CLASS else raster.values


def _time(raster: Raster) -> str:
    return str(int(raster.clock.times_T[0]))


def _write(
    path: Path,
    values_CHW: Array,
    raster: Raster,
    nodata: float,
    bands: tuple[str, ...],
    tags: dict[str, str],
) -> None:
    rasterio = _rasterio()
    profile = {
        "driver": "COG",
        "count": len(values_CHW),
        "height": values_CHW.shape[1],
        "width": values_CHW.shape[2],
        "dtype": values_CHW.dtype.name,
        "crs": raster.axes,
        "transform": rasterio.Affine(*raster.transform.ravel()),
        "nodata": nodata,
        "compress": "deflate",
        "blocksize": TILE,
        # Neither classes nor decibels may be averaged.
        "overview_resampling": "average" if values_CHW.dtype == np.uint16 else "nearest",
        "num_threads": 1,
    }
    # Written in memory first: Python reports a full disk, GDAL when closing a file does not.
    with rasterio.MemoryFile() as memory:
        with memory.open(**profile) as file:
            file.write(values_CHW)
            file.descriptions = bands
            file.update_tags(**tags)
            if values_CHW.dtype == np.uint16:
                file.scales = (L2A_SCALE,) * len(bands)
                file.offsets = (L2A_OFFSET,) * len(bands)
            file.units = (tags["unit"],) * len(bands)
            if bands[0] in NAMES:
                names = NAMES[bands[0]]
                file.update_tags(1, **{f"class_{n}": name for n, name in enumerate(names)})
            if bands[0] == ROLES["label"]:
                file.write_colormap(1, {n: (*colour, 255) for n, colour in enumerate(PALETTE)})
        memory.seek(0)
        write_whole(path, memory.read(), path.with_name(f".{path.name}"))


def _rasterio() -> Any:
    try:
        import rasterio
    except ImportError as error:
        raise MissingDependencyError(
            "rasterio is not installed",
            where="GeoTIFF",
            remedy="pip install -e '.[geo]' in your clone",
        ) from error
    return rasterio
