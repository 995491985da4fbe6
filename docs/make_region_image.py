"""Draw the picture of a simulated region: optical and radar at two dates, land cover, changes.

python docs/make_region_image.py [--scene 7] [--out docs/images/simulated_region.png]
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image

from sensorfusion.datasets.simulated_region import SimulatedRegion
from sensorfusion.report.maps import in_false_colour
from sensorfusion.simulation.above.materials import CHANGES, CLASSES, PALETTE

CHANGE_COLOURS = ((225, 225, 225), (200, 0, 0), (220, 150, 0), (110, 60, 20), (0, 90, 220))
CEILING = 0.19  # reflectance that is shown white, at both dates


def panels(scene: int, size: int) -> list[tuple[str, np.ndarray]]:
    """Titles and images."""
    sample = SimulatedRegion((scene,), size=size, chip=size, labels=True)[0]
    first, second = (frame.readings for frame in sample.frames)
    classes, changes = np.array(PALETTE, np.uint8), np.array(CHANGE_COLOURS, np.uint8)
    return [
        ("optical, first date", first["optical"].in_true_colour(CEILING)),
        ("optical, second date", second["optical"].in_true_colour(CEILING)),
        ("map from before", classes[first["map"].values[0].astype(int)]),
        ("land cover, second date", classes[second["optical"].label]),
        ("radar, first date (VV, VH, ratio)", in_false_colour(first["radar"])),
        ("radar, second date", in_false_colour(second["radar"])),
        ("near infrared, first date", first["optical"].values[7]),
        ("changes", changes[second["optical"].change]),
    ]


def draw(axes: Axes, title: str, image: np.ndarray) -> None:
    """One panel."""
    axes.imshow(image, interpolation="nearest", cmap="gray", vmin=0, vmax=0.55)
    axes.set_title(title, fontsize=9)
    axes.set_axis_off()


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scene", type=int, default=7)
    parser.add_argument("--size", type=int, default=256)
    folder = Path(__file__).parent / "images"
    parser.add_argument("--out", type=Path, default=folder / "simulated_region.png")
    options = parser.parse_args()
    figure = Figure(figsize=(13.0, 7.4), dpi=100, layout="constrained")
    shown = panels(options.scene, options.size)
    for axes, (title, image) in zip(figure.subplots(2, 4).ravel(), shown, strict=True):
        draw(axes, title, image)
    named = [*zip(CLASSES, PALETTE, strict=True), *zip(CHANGES, CHANGE_COLOURS, strict=True)]
    patches = [
        Patch(color=tuple(c / 255 for c in colour), label=name.replace("_", " "))
        for name, colour in named
    ]
    figure.legend(handles=patches, loc="outside lower center", ncols=7, fontsize=8, frameon=False)
    drawn = io.BytesIO()
    figure.savefig(drawn)
    few = Image.open(drawn).convert("RGB").quantize(256, kmeans=1, dither=Image.Dither.NONE)
    few.save(options.out, optimize=True)


if __name__ == "__main__":
    main()
