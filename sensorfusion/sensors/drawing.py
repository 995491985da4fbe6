"""One picture of a sample: every sensor of its frames, one below the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from sensorfusion.errors import ConfigError
from sensorfusion.sample import Reading, Sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@runtime_checkable
class Drawable(Protocol):
    """A reading that can draw itself."""

    def draw(self, axes: Axes) -> None:
        """Draw into matplotlib axes."""


def draw_sample(sample: Sample) -> Figure:
    """A figure with one row for each reading; time runs to the right in all of them.

    Raises:
        ConfigError: when the sample has no reading.
    """
    from matplotlib.figure import Figure

    shown = [
        (f"{name}, frame {place}" if len(sample.frames) > 1 else name, reading)
        for place, frame in enumerate(sample.frames)
        for name, reading in frame.readings.items()
    ]
    if not shown:
        raise ConfigError(f"sample {sample.id!r} has no reading", remedy="draw another one")
    figure = Figure(figsize=(12, 3 * len(shown)), layout="constrained")
    rows = figure.subplots(len(shown), squeeze=False)[:, 0]
    for axes, (title, reading) in zip(rows, shown, strict=True):
        draw_reading(reading, axes)
        axes.set_title(title, loc="left")
    labels = ", ".join(f"{name} {value}" for name, value in sample.labels.items())
    figure.suptitle(f"{sample.id}  {labels}")
    return figure


def draw_reading(reading: Reading, axes: Axes) -> None:
    """Draw one reading.

    Raises:
        ConfigError: when its sensor does not say how.
    """
    if not isinstance(reading, Drawable):
        raise ConfigError(
            f"{type(reading).__name__} has no method draw",
            where=reading.source,
            remedy="add one to the sensor's file",
        )
    reading.draw(axes)
