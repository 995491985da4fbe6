"""Samples -> Batch: per sensor, only the present readings, stacked or packed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from sensorfusion.errors import DataError, UnitError
from sensorfusion.sample import Array, Batch, Frame, Reading, Sample, SensorBatch

MISSING = -1  # the integer label or key of a sample that has none


def collate(samples: Sequence[Sample], index: Sequence[int] | None = None) -> Batch:
    """Collate samples into one batch.

    Args:
        samples: B >= 1 samples; any of them may lack any sensor.
        index: their positions in the data set (default 0 .. B - 1).

    Raises:
        DataError: when readings of one sensor cannot be stacked.
        UnitError: when readings of one sensor differ in type, unit, axes or other traits.
    """
    frames = max(len(sample.frames) for sample in samples)
    names = {name for sample in samples for frame in sample.frames for name in frame.readings}
    positions = range(len(samples)) if index is None else index
    return Batch(
        sensors={name: _collate_sensor(name, samples, frames) for name in sorted(names)},
        ids=tuple(sample.id for sample in samples),
        index=torch.tensor(list(positions), dtype=torch.int64),
        frames=frames,
        labels=_collate_values([sample.labels for sample in samples]),
        keys=_collate_values([sample.keys for sample in samples]),
    )


def _collate_sensor(name: str, samples: Sequence[Sample], frames: int) -> SensorBatch:
    present = torch.zeros(len(samples), frames, dtype=torch.bool)
    holders: list[Frame] = []
    for b, sample in enumerate(samples):
        for f, frame in enumerate(sample.frames):
            if name in frame.readings:
                present[b, f] = True
                holders.append(frame)
    readings = [frame.readings[name] for frame in holders]
    first = readings[0]
    for reading in readings:
        _require_alike(name, first, reading)
    return SensorBatch(
        present=present,
        values={array: _join(name, array, readings) for array in _held_by_all(readings)},
        kind=type(first),
        unit=first.unit,
        axes=first.axes,
        traits={trait: getattr(first, trait) for trait in first.TRAITS},
        lengths=_lengths(readings) if first.RAGGED else None,
        poses=_stack_if_all([frame.poses.get(name) for frame in holders]),
        calibration=_collate_calibration(name, holders),
        clocks=tuple(reading.clock for reading in readings),
    )


def _require_alike(name: str, first: Reading, other: Reading) -> None:
    for aspect, a, b in (
        ("type", type(first).__name__, type(other).__name__),
        ("unit", first.unit, other.unit),
        ("axes", first.axes, other.axes),
        ("clock", first.clock.kind.value, other.clock.kind.value),
        *((trait, getattr(first, trait), getattr(other, trait, None)) for trait in first.TRAITS),
    ):
        if a != b:
            raise UnitError(
                f"readings of one sensor differ in {aspect}: {a!r} and {b!r}",
                where=f"sensor {name!r}, {first.source or '?'} and {other.source or '?'}",
                remedy="bring them to one with a transform before collating",
            )


def _held_by_all(readings: Sequence[Reading]) -> list[str]:
    return [name for name in readings[0].held if all(name in other.held for other in readings)]


def _join(name: str, array: str, readings: Sequence[Reading]) -> Tensor:
    arrays: list[Array] = [getattr(reading, array) for reading in readings]
    if readings[0].RAGGED:
        return torch.from_numpy(np.concatenate(arrays))
    odd = next((i for i, a in enumerate(arrays) if a.shape != arrays[0].shape), None)
    if odd is not None:
        raise DataError(
            f"{array} has shape {arrays[odd].shape}, others {arrays[0].shape}",
            where=f"sensor {name!r}, {readings[odd].source or '?'}",
            remedy="resample or crop to one size with a transform",
        )
    return torch.from_numpy(np.stack(arrays))


def _lengths(readings: Sequence[Reading]) -> Tensor:
    rows = [len(getattr(reading, reading.ARRAYS[0])) for reading in readings]
    return torch.tensor(rows, dtype=torch.int64)


def _stack_if_all(arrays: Sequence[Array | None]) -> Tensor | None:
    known = [array for array in arrays if array is not None]
    return torch.from_numpy(np.stack(known)) if len(known) == len(arrays) else None


def _collate_calibration(name: str, holders: Sequence[Frame]) -> dict[str, Tensor]:
    tables = [frame.calibration.get(name, {}) for frame in holders]
    shared = set(tables[0]).intersection(*tables[1:])
    return {
        key: torch.from_numpy(np.stack([table[key] for table in tables])) for key in sorted(shared)
    }


def _collate_values(tables: Sequence[Mapping[str, int | Array]]) -> dict[str, Tensor]:
    names = sorted({name for table in tables for name in table})
    return {
        name: torch.as_tensor(np.stack([np.asarray(t.get(name, MISSING)) for t in tables]))
        for name in names
    }
