"""Several sensors of one encoder in a single call: six cameras as one batch of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from sensorfusion.errors import DataError, UnitError
from sensorfusion.sample import Features, SensorBatch


def stack(batches: Mapping[str, SensorBatch]) -> SensorBatch:
    """The readings of S sensors as those of one, whose sample s * B + b is b's of sensor s.

    Sensors that are missing everywhere have their B samples too. Arrays that some sensors do not
    have are left out.

    Raises:
        UnitError: for readings of different types, units, axes or kinds of clock.
        DataError: for arrays of different shapes, as images of two sizes.
    """
    given = {name: batch for name, batch in batches.items() if len(batch)}
    present = torch.cat([batch.present for batch in batches.values()])
    if not given:
        return SensorBatch(present)
    parts = list(given.values())
    first = parts[0]
    for name, batch in given.items():
        _require_alike(next(iter(given)), first, name, batch)
    return SensorBatch(
        present=present,
        values=_joined("values", given),
        kind=first.kind,
        unit=first.unit,
        axes=first.axes,
        traits=first.traits,
        lengths=_cat([part.lengths for part in parts]),
        poses=_cat([part.poses for part in parts]),
        calibration=_joined("calibration", given),
        clocks=tuple(clock for part in parts for clock in part.clocks),
    )


def split(features: Features, batches: Mapping[str, SensorBatch]) -> dict[str, Features]:
    """The features of each of the sensors that were stacked; their tokens keep their order."""
    size = features.size // len(batches)
    sensor = features.item // max(size, 1)
    if (sensor[1:] < sensor[:-1]).any():
        order = sensor.argsort(stable=True)
        features, sensor = _rows(features, order), sensor[order]
    counts = torch.bincount(sensor, minlength=len(batches)).tolist()
    readings = [len(batch) for batch in batches.values()]

    def parts(values: Tensor, sizes: list[int]) -> Sequence[Tensor]:
        return torch.split_with_sizes(values, sizes)

    def parts_of(values: Tensor | None, sizes: list[int]) -> Sequence[Tensor | None]:
        return [None] * len(sizes) if values is None else parts(values, sizes)

    columns = zip(
        batches,
        parts(features.tokens, counts),
        parts(features.item - sensor * size, counts),
        parts(features.frame, counts),
        parts(features.valid, counts),
        parts_of(features.positions, counts),
        parts_of(features.grid, readings),
        parts_of(features.weight, counts),
        strict=True,
    )
    return {
        name: Features(tokens, item, frame, size, valid, positions, grid, weight)
        for name, tokens, item, frame, valid, positions, grid, weight in columns
    }


def _rows(features: Features, order: Tensor) -> Features:
    def chosen(values: Tensor | None) -> Tensor | None:
        return None if values is None else values.index_select(0, order)

    return features.replace(
        tokens=features.tokens.index_select(0, order),
        item=features.item[order],
        frame=features.frame[order],
        valid=features.valid[order],
        positions=chosen(features.positions),
        weight=chosen(features.weight),
    )


def _joined(what: str, given: Mapping[str, SensorBatch]) -> dict[str, Tensor]:
    tables: dict[str, Mapping[str, Tensor]] = {n: getattr(b, what) for n, b in given.items()}
    shared = set.intersection(*(set(table) for table in tables.values()))
    return {name: _same_shape(name, {n: t[name] for n, t in tables.items()}) for name in shared}


def _same_shape(array: str, values: Mapping[str, Tensor]) -> Tensor:
    shapes = {sensor: tuple(value.shape[1:]) for sensor, value in values.items()}
    if len(set(shapes.values())) > 1:
        raise DataError(
            f"{array} has the shapes {shapes}",
            where="sensors that are encoded together",
            remedy="bring them to one shape with a transform, or encode them one by one",
        )
    return torch.cat(list(values.values()))


def _cat(parts: Sequence[Tensor | None]) -> Tensor | None:
    known = [part for part in parts if part is not None]
    return torch.cat(known) if len(known) == len(parts) else None


def _require_alike(one: str, a: SensorBatch, other: str, b: SensorBatch) -> None:
    def aspects(batch: SensorBatch) -> dict[str, Any]:
        clock = batch.clocks[0].kind.value  # of one sensor they agree: see `collate`
        return {
            "type": batch.kind,
            "unit": batch.unit,
            "axes": batch.axes,
            "clock": clock,
            **batch.traits,
        }

    first, second = aspects(a), aspects(b)
    for aspect, value in first.items():
        if value != second.get(aspect):
            raise UnitError(
                f"{one!r} and {other!r} differ in {aspect}: {value!r} and {second.get(aspect)!r}",
                where="sensors that are encoded together",
                remedy="bring them to one with a transform, or encode them one by one",
            )
