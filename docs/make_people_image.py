"""Draw the picture of the simulated people: what a camera, a body tracker and an IMU see of them.

python docs/make_people_image.py [--out docs/images/simulated_people.png]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from sensorfusion.datasets.simulated_people import ACTIONS, SimulatedPeople
from sensorfusion.sample import Sample

SHOWN = {"walk": 5, "wave": 4, "pick_up": 6, "sit_down": 9, "phone": 5, "jump": 2}  # and whose
FRAMES, SIZE = 7, (168, 120)
COLOURS = {"left": "#ff5050", "right": "#4aa3ff"}


def strip(axes: Axes, sample: Sample) -> None:
    """Frames side by side, the measured joints over them; hidden ones are rings."""
    readings = sample.frames[0].readings
    image, skeleton = readings["colour"], readings["skeleton"]
    k = sample.frames[0].calibration["colour"]["intrinsics"]
    height, width = image.size
    axes.imshow(np.concatenate(list(image.pixels), axis=1), interpolation="bilinear")
    rows = np.searchsorted(skeleton.clock.times_T, image.clock.times_T - 1e-9)
    for number, row in enumerate(rows):
        x, y, z = skeleton.joints[row].T
        u = k[0, 2] + k[0, 0] * x / z + number * width
        v = k[1, 2] - k[1, 1] * y / z
        inside = (u > number * width) & (u < (number + 1) * width - 1) & (v < height - 1) & (v > 0)
        for joint, parent in skeleton.tree.bones:
            if inside[joint] and inside[parent]:
                side = skeleton.tree.names[joint].partition("_")[0]
                colour = COLOURS.get(side, "white")
                axes.plot(u[[joint, parent]], v[[joint, parent]], color=colour, lw=1.1)
        hidden = sample.labels["skeleton.hidden"][row] & inside
        axes.plot(u[hidden], v[hidden], "o", mfc="none", mec="yellow", ms=4, mew=0.8)
    axes.set_xlim(-0.5, len(rows) * width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)
    axes.set_axis_off()


def curves(axes: Axes, sample: Sample) -> None:
    """The worn sensor's specific force and, dashed, its angular rate."""
    imu = sample.frames[0].readings["imu"]
    times, end = imu.clock.times_T, imu.clock.times_T[-1]
    # Every frame stands above its own time.
    margin = 0.5 * end / (FRAMES - 1)
    right = axes.twinx()
    for column, colour in enumerate(("tab:red", "tab:green", "tab:blue")):
        axes.plot(times, imu.acceleration[:, column], color=colour, lw=0.9)
        right.plot(times, imu.angular_rate[:, column], "--", color=colour, lw=0.6)
    for one, unit in ((axes, "m/s²"), (right, "rad/s")):
        one.set_xlim(-margin, end + margin)
        one.set_ylabel(unit, fontsize=6, labelpad=1)
        one.tick_params(labelsize=6, length=2, pad=1)
    axes.set_xlabel("s", fontsize=6, labelpad=0)


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    folder = Path(__file__).parent / "images"
    parser.add_argument("--out", type=Path, default=folder / "simulated_people.png")
    options = parser.parse_args()
    dataset = SimulatedPeople(
        12 * 16,
        sensors=("imu", "skeleton", "colour"),
        image_size=SIZE,
        frames=FRAMES,
        truth=True,
    )
    mpl.rcParams["axes.linewidth"] = 0.5
    figure = Figure(figsize=(13.4, 7.4), dpi=80, layout="constrained")
    grid = figure.add_gridspec(6, 2, height_ratios=[2.1, 1] * 3)
    for place, (action, subject) in enumerate(SHOWN.items()):
        sample = dataset[ACTIONS.index(action) + len(ACTIONS) * (subject - 1)]
        row, column = 2 * (place // 2), place % 2
        axes = figure.add_subplot(grid[row, column])
        axes.set_title(action.replace("_", " "), fontsize=9, pad=2)
        strip(axes, sample)
        curves(figure.add_subplot(grid[row + 1, column]), sample)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    picture.quantize(200).save(options.out, optimize=True)


if __name__ == "__main__":
    main()
