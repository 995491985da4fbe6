"""Samples as files to look at: pictures, coloured points, or a scene for rerun's viewer."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from sensorfusion.errors import ConfigError, MissingDependencyError
from sensorfusion.files import write_whole
from sensorfusion.report.maps import draw_overlay, overlaid
from sensorfusion.report.overlay import borders, projected, registered, scan_of
from sensorfusion.sample import Array, Frame, Sample
from sensorfusion.sensors.camera import CameraImage
from sensorfusion.sensors.drawing import draw_reading
from sensorfusion.sensors.lidar import PointCloud

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

WIDTH = 14.0  # inches
FARTHEST = 50.0  # metres, of the colours of depth
GREY = 130


def write_preview(samples: Sequence[Sample], path: Path) -> list[str]:
    """Write samples to a file by its suffix; what was written, in lines for the reader.

    Args:
        path: `.png` for a picture of all; of the first sample, `.ply` for its points in the
            colours of the pixels that they fall on, `.rrd` for points and cameras in rerun.

    Raises:
        ConfigError: for another suffix, a sample without points, or a file that cannot be written.
        MissingDependencyError: for `.rrd` without the extra `viz`.
    """
    makers: Mapping[str, Callable[[Sequence[Sample]], bytes]] = {
        ".png": _png,
        ".ply": lambda some: ply_of(*coloured_points(some[0].frames[0])),
        ".rrd": lambda some: rerun_of(some[0]),
    }
    if path.suffix not in makers:
        raise ConfigError(
            f"no preview is written as {path.suffix or path.name!r}",
            where="--preview",
            remedy=f"name a file that ends in {', '.join(makers)}",
        )
    shown = samples if path.suffix == ".png" else samples[:1]
    data = makers[path.suffix](shown)
    try:
        write_whole(path, data, path.with_name(f".partial-{os.getpid()}-{path.name}"))
    except OSError as error:
        raise ConfigError(
            f"cannot write: {error}", where=str(path), remedy="name a file in another folder"
        ) from error
    return [*(f"sample {sample.id}: {_listed(sample)}" for sample in shown), f"wrote {path}"]


def preview_figure(samples: Sequence[Sample]) -> Figure:
    """Samples one below the other: points over the images that show them, radar over optical.

    Other sensors stand side by side, two in a row.

    Raises:
        ConfigError: for a sample without readings.
    """
    from matplotlib.figure import Figure

    plans = [
        (sample.id if len(sample.frames) == 1 else f"{sample.id}, frame {i}", frame, _rows(frame))
        for sample in samples
        for i, frame in enumerate(sample.frames)
    ]
    heights = [sum(row.height for row in rows) + 0.4 for _, _, rows in plans]
    figure = Figure(figsize=(WIDTH, sum(heights)), dpi=90, layout="constrained")
    parts = figure.subfigures(len(plans), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, (title, frame, rows) in zip(parts, plans, strict=True):
        if not rows:
            raise ConfigError(f"sample {title!r} has no reading", remedy="draw another one")
        part.suptitle(title, x=0.01, ha="left", weight="bold")
        _draw_rows(part, frame, rows)
    return figure


def coloured_points(frame: Frame) -> tuple[Array, Array]:
    """Points [N, 3] in the world where their pose is known, else in the sensor's axes; colours.

    Colours uint8 [N, 3] are those of the pixels that points fall on; grey where no camera looks.

    Raises:
        ConfigError: for a frame without a point cloud.
    """
    lidar = scan_of(frame)
    if lidar is None:
        raise ConfigError(
            f"a sample without points: {', '.join(frame.readings)}",
            where="--preview",
            remedy="write a picture: --preview FILE.png",
        )
    cloud = cast(PointCloud, frame.readings[lidar])
    pose = frame.poses.get(lidar, np.eye(4))
    colour_N3 = np.full((len(cloud.points), 3), GREY, dtype=np.uint8)
    for name in registered(frame, lidar):
        point_E, uv_E2, _ = projected(frame, lidar, name)
        u, v = np.rint(uv_E2).astype(np.int64).T
        colour_N3[point_E] = cast(CameraImage, frame.readings[name]).pixels[0, v, u]
    return cloud.points.astype(np.float64) @ pose[:3, :3].T + pose[:3, 3], colour_N3


def ply_of(points_N3: Array, colours_N3: Array) -> bytes:
    """A binary PLY file (Turk 1994) of coloured points."""
    fields = [(axis, "<f4") for axis in "xyz"] + [(c, "u1") for c in ("red", "green", "blue")]
    table = np.zeros(len(points_N3), dtype=fields)
    for column, axis in enumerate("xyz"):
        table[axis] = points_N3[:, column]
    for column, colour in enumerate(("red", "green", "blue")):
        table[colour] = colours_N3[:, column]
    kinds = {"<f4": "float", "u1": "uchar"}
    listed = "".join(f"property {kinds[kind]} {name}\n" for name, kind in fields)
    head = (
        f"ply\nformat binary_little_endian 1.0\nelement vertex {len(table)}\n{listed}end_header\n"
    )
    return head.encode() + table.tobytes()


def rerun_of(sample: Sample) -> bytes:
    """Points and cameras of a sample's frames, as a recording for rerun's viewer.

    Raises:
        MissingDependencyError: without the package.
    """
    try:
        import rerun
    except ImportError as error:
        raise MissingDependencyError(
            f"a scene for rerun takes the package rerun-sdk: {error}",
            where="--preview FILE.rrd",
            remedy="pip install -e '.[viz]' in your clone, or write --preview FILE.ply",
        ) from error
    recording = rerun.RecordingStream("sensorfusion")
    memory = recording.memory_recording()
    for number, frame in enumerate(sample.frames):
        recording.set_time("frame", sequence=number)
        points_N3, colours_N3 = coloured_points(frame)
        recording.log("world/points", rerun.Points3D(points_N3, colors=colours_N3, radii=0.05))
        for name in registered(frame, scan_of(frame) or ""):
            pose, image = frame.poses[name], cast(CameraImage, frame.readings[name])
            place = f"world/{name.replace('.', '/')}"
            intrinsics = frame.calibration[name]["intrinsics"][:3, :3]
            size = (image.size[1], image.size[0])
            recording.log(place, rerun.Transform3D(translation=pose[:3, 3], mat3x3=pose[:3, :3]))
            recording.log(place, rerun.Pinhole(image_from_camera=intrinsics, resolution=size))
            recording.log(place, rerun.Image(image.pixels[0]))
    return bytes(memory.drain_as_bytes())


@dataclass(frozen=True)
class _Row:
    """Sensors side by side; `over`: an optical and a radar raster, of which three pictures are."""

    height: float  # inches
    sensors: tuple[str, ...]
    over: bool = False


def _rows(frame: Frame) -> list[_Row]:
    """Registered cameras by three, the scan across the width, rasters by pairs, all else by two."""
    lidar = scan_of(frame)
    seen = registered(frame, lidar) if lidar else ()
    rows: list[_Row] = []
    for start in range(0, len(seen), 3):
        height, width = cast(CameraImage, frame.readings[seen[start]]).size
        rows.append(_Row(0.3 + WIDTH / 3 * height / width, seen[start : start + 3]))
    clouds = [name for name, r in frame.readings.items() if isinstance(r, PointCloud)]
    rows += [_Row(4.6, (name,)) for name in clouds]
    over = overlaid(frame)
    rows += [_Row(WIDTH / 3 + 0.6, pair, over=True) for pair in over]
    drawn = {*seen, *clouds, *(name for pair in over for name in pair)}
    others = [name for name in frame.readings if name not in drawn]
    return rows + [_Row(3.0, tuple(others[i : i + 2])) for i in range(0, len(others), 2)]


def _draw_rows(part: SubFigure, frame: Frame, rows: Sequence[_Row]) -> None:
    lidar = scan_of(frame)
    seen = registered(frame, lidar) if lidar else ()
    heights = [row.height for row in rows]
    strips = part.subfigures(len(rows), 1, height_ratios=heights, squeeze=False)[:, 0]
    for strip, row in zip(strips, rows, strict=True):
        if row.over:
            draw_overlay(tuple(strip.subplots(1, 3)), frame, *row.sensors)
            continue
        places = strip.subplots(1, len(row.sensors), squeeze=False)[0]
        for axes, name in zip(places, row.sensors, strict=True):
            if lidar is not None and name in seen:
                _draw_overlay(axes, frame, lidar, name)
            else:
                draw_reading(frame.readings[name], axes)
            # Above the legend that a reading may have there.
            pad = 22 if len(frame.readings[name].clock) > 1 else 6
            axes.set_title(name, loc="left", fontsize="medium", pad=pad)


def _draw_overlay(axes: Axes, frame: Frame, lidar: str, camera: str) -> None:
    """An image with the borders of its segments, and the points of the scan by depth."""
    image = cast(CameraImage, frame.readings[camera])
    pixels_HW3 = image.pixels[0].copy()
    if image.segments is not None:
        edge_HW = borders(image.segments[0])
        pixels_HW3[edge_HW] = (pixels_HW3[edge_HW].astype(np.float32) * 0.4 + 153).astype(np.uint8)
    axes.imshow(pixels_HW3, interpolation="nearest")
    _, uv_E2, depth_E = projected(frame, lidar, camera)
    order = np.argsort(-depth_E, kind="stable")
    axes.scatter(
        uv_E2[order, 0],
        uv_E2[order, 1],
        c=1 - np.sqrt(np.clip(depth_E[order] / FARTHEST, 0, 1)),
        cmap="turbo",
        vmin=0,
        vmax=1,
        s=2.5,
        linewidths=0,
    )
    axes.set_axis_off()


def _png(samples: Sequence[Sample]) -> bytes:
    file = io.BytesIO()
    preview_figure(samples).savefig(file, format="png")
    return file.getvalue()


def _listed(sample: Sample) -> str:
    frame = sample.frames[0]
    sizes = []
    for name, reading in frame.readings.items():
        shape = " x ".join(map(str, getattr(reading, reading.held[0]).shape))
        sizes.append(f"{name} {shape}")
    return ", ".join(sizes)
