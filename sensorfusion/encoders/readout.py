"""From a dense grid over time to tokens: the last step of every clip encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from sensorfusion.errors import ConfigError, DataError
from sensorfusion.geometry.clock import Clock, ClockKind
from sensorfusion.sample import Features, SensorBatch

Readout = Literal["flatten", "mean", "steps"]


def width_of(readout: Readout, channels: int, cells: int) -> int:
    """D of the tokens read from a grid with that many channels and cells per reading.

    Raises:
        ConfigError: when the read-out has an unknown name.
    """
    if readout not in ("flatten", "mean", "steps"):
        raise ConfigError(
            f"unknown read-out {readout!r}", remedy="use one of 'flatten', 'mean', 'steps'"
        )
    return channels * cells if readout == "flatten" else channels


def read_out(
    grid: Tensor, batch: SensorBatch, readout: Readout, *, rows: tuple[int, float, float]
) -> Features:
    """Tokens of P readings.

    Args:
        grid: [P, D, T'] over time, or [P, D, H, T'] with the time last.
        batch: the readings that it was computed from.
        readout: "flatten": one token per reading, channel-major, width D * H * T';
            "mean": one token per reading, the mean over the grid, width D;
            "steps": one token per time step (mean over H), with its position.
        rows: (T, first, step): the reading has T rows, and step t of the grid looks at the
            rows around `first + step * t`.

    Returns:
        Features with the grid. "steps" gives T' tokens per reading, ordered by reading and
        time; `positions` [P * T', 1] is the fraction of the clip: the times of a FRACTION
        clock, otherwise 0 at the reading's first row and 1 at its last.
    """
    if readout == "flatten":
        return Features.one_per_reading(grid.flatten(1), batch, grid)
    if readout == "mean":
        return Features.one_per_reading(grid.flatten(2).mean(-1), batch, grid)
    steps_PDT = grid if grid.ndim == 3 else grid.mean(2)
    steps = steps_PDT.shape[-1]
    return Features(
        tokens=steps_PDT.transpose(1, 2).flatten(0, 1),
        item=batch.item.repeat_interleave(steps),
        frame=batch.frame.repeat_interleave(steps),
        size=len(batch.present),
        valid=torch.ones(len(grid) * steps, dtype=torch.bool, device=grid.device),
        positions=_fractions(batch, len(grid), steps, rows).to(grid.device, grid.dtype),
        grid=grid,
    )


def _fractions(
    batch: SensorBatch, readings: int, steps: int, rows: tuple[int, float, float]
) -> Tensor:
    total, first, step = rows
    # Padding may centre the outermost steps beyond the clip's ends.
    looked_at = np.clip(first + step * np.arange(steps), 0, total - 1)
    clocks = batch.clocks or (Clock.fraction(total),) * readings
    fractions = [np.interp(looked_at, np.arange(total), _clip_fraction(c)) for c in clocks]
    return torch.from_numpy(np.concatenate(fractions)[:, None])


def _clip_fraction(clock: Clock) -> npt.NDArray[np.float64]:
    if clock.kind is ClockKind.FRACTION:
        return clock.times_T.astype(np.float64)
    passed = (clock.times_T - clock.times_T[0]).astype(np.float64)
    length = float(passed[-1])
    fractions: npt.NDArray[np.float64] = passed / max(length, 1e-300)
    return fractions


def require_shape(values: Tensor, shape: Sequence[int], encoder: nn.Module) -> None:
    """Check the shape of one reading, [T, ...], against what an encoder was made for.

    Raises:
        DataError: naming both shapes.
    """
    if tuple(values.shape[1:]) != tuple(shape):
        raise DataError(
            f"readings of shape {tuple(values.shape[1:])}, the encoder was made for {tuple(shape)}",
            where=type(encoder).__name__,
            remedy="resample the readings, or build the encoder for their shape",
        )


def floating(values: Tensor, like: nn.Module) -> Tensor:
    """Readings in the dtype of a module's weights (they are float32, or integers, as collated)."""
    return values.to(next(like.parameters()).dtype)
