"""Radar over optical: two rasters of one grid beside each other, and in turn in one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from sensorfusion.geometry.rasters import pixel_size
from sensorfusion.sample import Array, Frame
from sensorfusion.sensors.raster import DECIBEL, TRUE_COLOUR, Quality, Raster

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POLARISATIONS = ("VV", "VH")
# Backscatter of land: from calm water to corners of walls.
RANGES_DB = ((-20.0, -2.0), (-26.0, -9.0), (3.0, 14.0))
TILES = 8  # along a side
_OUTLINES = {Quality.CLOUD: ("cyan", "solid"), Quality.CLOUD_SHADOW: ("magenta", "dotted")}


def overlaid(frame: Frame) -> tuple[tuple[str, str], ...]:
    """Names of an optical and a radar raster on the same pixels, in pairs."""
    rasters = {name: r for name, r in frame.readings.items() if isinstance(r, Raster)}
    optical = [name for name, r in rasters.items() if set(TRUE_COLOUR) <= set(r.bands)]
    radar = [name for name, r in rasters.items() if set(POLARISATIONS) <= set(r.bands)]
    return tuple(
        (one, two) for one in optical for two in radar if _same_grid(rasters[one], rasters[two])
    )


def _same_grid(one: Raster, two: Raster) -> bool:
    alike = one.size == two.size and one.axes == two.axes
    return alike and np.allclose(one.transform, two.transform, rtol=0.0, atol=1e-6)


def colour_ranges(radar: Raster) -> tuple[tuple[float, float], ...]:
    """What is shown dark and bright of VV, VH and VV - VH.

    Fixed ranges of dB; of other units the 2nd and 98th percentile of what is valid.
    """
    if radar.unit == DECIBEL:
        return RANGES_DB
    planes = _planes(radar)
    seen = planes[:, _valid(radar)]
    seen = seen if seen.size else planes.reshape(3, -1)
    return tuple((float(low), float(high)) for low, high in np.percentile(seen, [2, 98], axis=1).T)


def in_false_colour(radar: Raster) -> Array:
    """VV in red, VH in green, VV - VH (in dB their ratio) in blue: uint8 [H, W, 3].

    White where not valid; the ends are those of `colour_ranges`.
    """
    shades = [
        (plane - low) / max(high - low, 1e-6)
        for plane, (low, high) in zip(_planes(radar), colour_ranges(radar), strict=True)
    ]
    colours = np.rint(255 * np.stack(shades, axis=2).clip(0.0, 1.0))
    return np.where(_valid(radar)[..., None], colours, 255).astype(np.uint8)


def _planes(radar: Raster) -> Array:
    vv, vh = (radar.values[radar.bands.index(name)] for name in POLARISATIONS)
    return np.stack([vv, vh, vv - vh])


def _valid(raster: Raster) -> Array:
    return np.asarray(raster.valid.all(axis=0))


def tile_size(size: tuple[int, int]) -> int:
    """Pixels along a side of the tiles in which two pictures take turns."""
    return max(1, -(-max(size) // TILES))


def checkered(one_HW3: Array, two_HW3: Array, tile: int) -> Array:
    """Two pictures in turn, in square tiles of `tile` pixels; the first one has the corner."""
    return np.where(_turns(one_HW3.shape, tile)[..., None], one_HW3, two_HW3)


def _turns(shape: tuple[int, ...], tile: int) -> Array:
    """Where the first of two pictures has its turn: bool [H, W]."""
    rows, columns = (np.arange(n) // tile for n in shape[:2])
    return np.asarray((rows[:, None] + columns) % 2 == 0)


def draw_overlay(axes: tuple[Axes, Axes, Axes], frame: Frame, optical: str, radar: str) -> None:
    """Optical, both in turn, and radar, each with what its colours are and where nothing is seen.

    Clouds are outlined, where the raster says where they are; hatched is what was not measured.
    """
    shown = cast(Raster, frame.readings[optical]), cast(Raster, frame.readings[radar])
    pictures = shown[0].in_true_colour(), in_false_colour(shown[1])
    tile = tile_size(shown[0].size)
    metres = tile * pixel_size(shown[0].transform)[0]
    both = f"{optical} (upper left) and {radar} in turn, tiles of {metres:g} m"
    hidden = ~_valid(shown[0]), ~_valid(shown[1])
    in_turn = np.where(_turns(shown[0].size, tile), hidden[0], hidden[1])
    _draw(axes[0], pictures[0], shown[0], hidden[0], describe_optical(shown[0]))
    _draw(axes[1], checkered(*pictures, tile), shown[0], in_turn, both)
    _draw(axes[2], pictures[1], shown[1], hidden[1], describe_radar(shown[1]))
    for place, title in zip(axes, (optical, f"{radar} over {optical}", radar), strict=True):
        place.set_title(title, loc="left", fontsize="medium")


def describe_optical(optical: Raster) -> str:
    """The meaning of the colours of `Raster.in_true_colour`, in two lines."""
    low, high = optical.tones()
    red, green, blue = TRUE_COLOUR
    colours = (
        f"red {red}, green {green}, blue {blue}: {low:.2g} to {high:.2g} {optical.unit}, gamma 1.8"
    )
    return f"{colours}\n{_seen(optical, (Quality.CLOUD, Quality.CLOUD_SHADOW))}"


def describe_radar(radar: Raster) -> str:
    """The meaning of the colours of `in_false_colour`, in two lines."""
    named = zip(("red VV", "green VH", "blue VV-VH"), colour_ranges(radar), strict=True)
    colours = ", ".join(f"{name} {low:.3g} to {high:.3g}" for name, (low, high) in named)
    return f"{colours} {radar.unit}\n{_seen(radar, (Quality.LAYOVER, Quality.RADAR_SHADOW))}"


def _seen(raster: Raster, kinds: tuple[Quality, ...]) -> str:
    """How much of it is valid, and how much of that is hidden."""
    text = f"{_share(_valid(raster))} valid"
    if raster.quality is None:
        return f"{text}, {' and '.join(map(_name, kinds))} not marked"
    marked = [f"{_name(k)} {_share(raster.quality == k)}{_outlined(k)}" for k in kinds]
    return ", ".join([text, *marked])


def _outlined(kind: Quality) -> str:
    return f" ({_OUTLINES[kind][0]})" if kind in _OUTLINES else ""


def _name(kind: Quality) -> str:
    return kind.name.lower().replace("_", " ")


def _share(mask_HW: Array) -> str:
    return f"{100 * float(mask_HW.mean()):.3g} %"


def _draw(axes: Axes, picture_HW3: Array, raster: Raster, hidden_HW: Array, caption: str) -> None:
    axes.imshow(picture_HW3, interpolation="nearest")
    along, _ = pixel_size(raster.transform)
    axes.set_xlabel(f"{caption}\ncolumns of {along:g} m, {raster.axes}", fontsize="small")
    if hidden_HW.any():
        axes.contourf(hidden_HW.astype(float), levels=[0.5, 1.5], colors="none", hatches=["////"])
    if raster.quality is None:
        return
    for kind, (colour, line) in _OUTLINES.items():
        marked_HW = np.equal(raster.quality, kind)
        if marked_HW.any() and not marked_HW.all():
            axes.contour(
                marked_HW.astype(float),
                levels=[0.5],
                colors=[colour],
                linestyles=line,
                linewidths=0.8,
            )
