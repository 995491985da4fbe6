"""The words of the package: Reading, Sample, Batch, Features, Correspondence (and Term).

    dataset[i] -> Sample -> transforms -> collate -> Batch
       -> encoders -> Features per sensor (-> fusion)
       -> matching -> Correspondence
       -> objective terms -> named losses

A sensor is never a field of a class here: samples and batches are keyed by the sensor's name.
`Term`, the sixth word, needs nothing of the others' internals and lives in `objectives/term.py`.

Shape letters: B samples of a batch, F frames of a sample, P present readings of one sensor,
N tokens, D embedding width, I ids of a correspondence, K its columns.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sensorfusion.changed import changed
from sensorfusion.errors import ConfigError, DataError, UnitError
from sensorfusion.geometry.clock import Clock

Array = npt.NDArray[Any]
ReadingT = TypeVar("ReadingT", bound="Reading")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What one sensor measured over one moment or window.

    A subclass adds its arrays as fields, names them in `ARRAYS` and checks them in `validate`;
    those that not every source has may be None, and are named in `OPTIONAL`. `unit` says in what
    they are; a normaliser that changes the values changes its name.

    Args:
        clock: times of the reading's rows (one entry for an instantaneous reading).
        axes: the frame that the values are in, e.g. "FLU", "kinect camera", "EPSG:32632".
        unit: the unit of the values, e.g. "m/s^2, rad/s" or the name of a normaliser.
        source: file or index that the reading came from, for error messages.
    """

    ARRAYS: ClassVar[tuple[str, ...]] = ()
    OPTIONAL: ClassVar[tuple[str, ...]] = ()
    RAGGED: ClassVar[bool] = False  # True: rows differ between readings (point clouds)
    TRAITS: ClassVar[tuple[str, ...]] = ()  # fields that readings of one batch have in common
    IN_TIME: ClassVar[bool] = True  # rows are moments, one time of the clock each

    clock: Clock
    axes: str
    unit: str
    source: str = ""

    def __post_init__(self) -> None:
        self.validate()

    def validate(self) -> None:
        """Raise `DataError` when an array has a wrong shape, dtype or a non-finite value."""

    @property
    def held(self) -> tuple[str, ...]:
        """Names of the arrays that this reading has."""
        optional = (name for name in self.OPTIONAL if getattr(self, name) is not None)
        return (*self.ARRAYS, *optional)

    def replace(self: ReadingT, **changes: Any) -> ReadingT:
        """A copy with some fields changed (and checked again)."""
        return changed(self, **changes)


def require_array(
    reading: Reading, name: str, shape: Sequence[int | None], dtype: npt.DTypeLike
) -> None:
    """Check one array of a reading: `shape` has None where any length will do.

    Raises:
        DataError: naming the array, what it is and what it should be.
    """
    array = getattr(reading, name)
    if not _fits(array, shape):
        wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
        raise DataError(
            f"shape {getattr(array, 'shape', type(array).__name__)}, expected {wanted}",
            where=_place(reading, name),
            remedy="check the file's layout against the reader's documentation",
        )
    if array.dtype != np.dtype(dtype):
        raise DataError(
            f"dtype {array.dtype}, expected {np.dtype(dtype)}", where=_place(reading, name)
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0][0])
        raise DataError(
            f"non-finite value in row {row} of {len(array)}",
            where=_place(reading, name),
            remedy="repair or remove the file, or set the corrupt-sample policy to skip",
        )


def _fits(array: Any, shape: Sequence[int | None]) -> bool:
    return (
        isinstance(array, np.ndarray)
        and array.ndim == len(shape)
        and all(n is None or n == m for n, m in zip(shape, array.shape, strict=True))
    )


def _place(reading: Reading, name: str) -> str:
    return f"{type(reading).__name__}.{name} of {reading.source or 'an unnamed source'}"


@dataclass(frozen=True)
class Frame:
    """The readings of one moment, keyed by the sensor's name; an absent sensor has no entry.

    Args:
        readings: what each sensor measured.
        poses: `T_world_sensor`, float64 [4, 4], where known.
        calibration: named arrays per sensor (intrinsics, distortion, ...), where known.
    """

    readings: Mapping[str, Reading]
    poses: Mapping[str, Array] = field(default_factory=dict)
    calibration: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """One moment or short clip: frames in time order.

    Args:
        id: a name that is unique within the data set.
        frames: F frames in time order.
        labels: integers or arrays for fine-tuning and probing; pretraining never reads them.
        keys: integers that group samples (subject, site), for samplers, weights and splits.
    """

    id: str
    frames: tuple[Frame, ...]
    labels: Mapping[str, int | Array] = field(default_factory=dict)
    keys: Mapping[str, int] = field(default_factory=dict)

    def map_readings(self, change: Callable[[str, Reading], Reading | None]) -> Sample:
        """A copy whose readings went through `change(sensor name, reading)`; None drops one."""
        frames = tuple(_changed_frame(frame, change) for frame in self.frames)
        return changed(self, frames=frames)


def _changed_frame(frame: Frame, change: Callable[[str, Reading], Reading | None]) -> Frame:
    found = ((name, change(name, reading)) for name, reading in frame.readings.items())
    return changed(
        frame, readings={name: reading for name, reading in found if reading is not None}
    )


@dataclass(frozen=True)
class SensorBatch:
    """The readings of one sensor over a batch: only the present ones, packed.

    Readings are ordered by (sample, frame), so row p of every array belongs to the p-th True of
    `present` in row-major order.

    Args:
        present: bool [B, F], which samples and frames have a reading.
        values: arrays by name: [P, ...] stacked, or [sum of rows, ...] for ragged readings; of the
            optional ones those that every present reading has.
        kind: the type of the readings; None when none is present.
        unit, axes: what they have in common. traits: likewise, the fields named in `TRAITS`.
        lengths: int64 [P], rows of each reading, for ragged readings only.
        poses: float64 [P, 4, 4] `T_world_sensor`, when every present reading has one.
        calibration: stacked calibration arrays [P, ...], when every present reading has them.
        clocks: clocks of the P readings.
    """

    present: Tensor
    values: Mapping[str, Tensor] = field(default_factory=dict)
    kind: type[Reading] | None = None
    unit: str = ""
    axes: str = ""
    traits: Mapping[str, Any] = field(default_factory=dict)
    lengths: Tensor | None = None
    poses: Tensor | None = None
    calibration: Mapping[str, Tensor] = field(default_factory=dict)
    clocks: tuple[Clock, ...] = ()

    def __len__(self) -> int:
        return len(self.item)

    @property
    def item(self) -> Tensor:
        """int64 [P]: the sample that each reading belongs to."""
        return self.present.nonzero()[:, 0]

    @property
    def frame(self) -> Tensor:
        """int64 [P]: the frame that each reading belongs to."""
        return self.present.nonzero()[:, 1]

    @property
    def row_reading(self) -> Tensor:
        """int64 [sum of rows]: the reading that each packed row belongs to (ragged only)."""
        if self.lengths is None:
            raise DataError(f"{self.kind} readings are stacked, they have no packed rows")
        reading = torch.arange(len(self.lengths), device=self.lengths.device)
        return reading.repeat_interleave(self.lengths)

    def require(self, kind: type[Reading], *units: str) -> None:
        """Check that the readings are what an encoder was made for.

        Raises:
            UnitError: naming what was found and what was expected.
        """
        if self.kind is not None and not issubclass(self.kind, kind):
            raise UnitError(
                f"readings are {self.kind.__name__}, expected {kind.__name__}",
                remedy="check which encoder the config gives to this sensor",
            )
        if self.kind is not None and units and self.unit not in units:
            raise UnitError(
                f"readings are in {self.unit!r}, expected {' or '.join(map(repr, units))}",
                remedy="add the normaliser that the encoder was trained with",
            )

    def to(self, device: torch.device | str) -> SensorBatch:
        """A copy on another device."""
        return dataclasses.replace(
            self,
            present=self.present.to(device),
            values={name: value.to(device) for name, value in self.values.items()},
            lengths=None if self.lengths is None else self.lengths.to(device),
            poses=None if self.poses is None else self.poses.to(device),
            calibration={name: value.to(device) for name, value in self.calibration.items()},
        )


@dataclass(frozen=True)
class Batch:
    """Collated samples: packed readings per sensor with presence masks.

    Args:
        sensors: per sensor name its packed readings; every name has an entry, if an empty one.
        ids: names of the B samples. index: int64 [B], their positions in the data set.
        frames: F, the number of frames of the longest sample.
        labels, keys: collated labels and keys, [B, ...]; a missing integer is -1.
    """

    sensors: Mapping[str, SensorBatch]
    ids: tuple[str, ...]
    index: Tensor
    frames: int = 1
    labels: Mapping[str, Tensor] = field(default_factory=dict)
    keys: Mapping[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, sensor: str) -> SensorBatch:
        """The readings of one sensor; an unknown name is a sensor that is missing everywhere."""
        present = torch.zeros(len(self), self.frames, dtype=torch.bool, device=self.index.device)
        return self.sensors.get(sensor, SensorBatch(present))

    def to(self, device: torch.device | str) -> Batch:
        """A copy on another device."""
        return dataclasses.replace(
            self,
            sensors={name: sensor.to(device) for name, sensor in self.sensors.items()},
            index=self.index.to(device),
            labels={name: label.to(device) for name, label in self.labels.items()},
            keys={name: key.to(device) for name, key in self.keys.items()},
        )


@dataclass(frozen=True)
class Features:
    """What an encoder returns for one sensor: packed tokens.

    Args:
        tokens: [N, D].
        item: int64 [N], the sample of the batch that each token belongs to.
        frame: int64 [N], its frame.
        size: B, samples in the batch (some may have no token).
        valid: bool [N]; tokens over padding or masked input are not valid.
        positions: [N, d] in the sensor's own frame (metres, pixels, or time), where it has one.
        grid: dense view, e.g. [P, D, T] or [P, D, H, W], where the encoder has one.
        weight: [N] >= 0, how much each token matters, where the encoder says so.
    """

    tokens: Tensor
    item: Tensor
    frame: Tensor
    size: int
    valid: Tensor
    positions: Tensor | None = None
    grid: Tensor | None = None
    weight: Tensor | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    @staticmethod
    def one_per_reading(
        tokens_PD: Tensor, batch: SensorBatch, grid: Tensor | None = None
    ) -> Features:
        """Features with a single token for every present reading."""
        valid = torch.ones(len(tokens_PD), dtype=torch.bool, device=tokens_PD.device)
        return Features(tokens_PD, batch.item, batch.frame, len(batch.present), valid, grid=grid)

    @staticmethod
    def empty(size: int, width: int, *, like: Tensor) -> Features:
        """Features of a sensor that no sample of the batch has."""
        index = torch.zeros(0, dtype=torch.int64, device=like.device)
        tokens = like.new_zeros(0, width)
        return Features(tokens, index, index, size, index.bool())

    def replace(self, **changes: Any) -> Features:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)


@dataclass(frozen=True)
class Correspondence:
    """Which tokens of any number of sensors and frames belong together.

    Column k holds edges (id, token): token `tokens[k][e]` of its stream belongs to id `ids[k][e]`.
    A token may belong to several ids, an id may have many tokens of a column (they are
    averaged) or none (absent there). Pairs are the two-column case.

    Args:
        columns: K different names.
        streams: the sensor, fusion or teacher whose tokens each column refers to; by default the
            column's own name. Two frames of one sensor are two columns of one stream.
        ids: per column int64 [E_k] in [0, size). tokens: per column int64 [E_k].
        size: I, the number of ids.
        item: int64 [I], the sample of the batch that each id lies in.
        trust: [I] weights >= 0 of the ids (1 = fully trusted).
    """

    columns: tuple[str, ...]
    ids: tuple[Tensor, ...]
    tokens: tuple[Tensor, ...]
    size: int
    item: Tensor
    trust: Tensor
    streams: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "streams", self.streams or self.columns)
        if len(set(self.columns)) < len(self.columns):
            raise ConfigError(
                f"columns of one name: {self.columns}",
                remedy="name the columns apart and give their common stream in `streams`",
            )
        if not len(self.streams) == len(self.columns) == len(self.ids) == len(self.tokens):
            raise ConfigError(
                f"{len(self.columns)} columns, {len(self.ids)} id lists and "
                f"{len(self.tokens)} token lists",
                remedy="give one list of ids and one of tokens per column",
            )

    @property
    def present(self) -> Tensor:
        """Bool [I, K]: which ids have at least one token in which column."""
        present = self.item.new_zeros(self.size, len(self.columns), dtype=torch.bool)
        for k, ids in enumerate(self.ids):
            present[ids, k] = True
        return present

    def pool(self, features: Mapping[str, Features]) -> Tensor:
        """Mean of every id's tokens per column: [I, K, D]; zero where an id is absent.

        Differentiable. Shape [I, K, D]; all columns must have the same width.
        """
        pooled = [self.pool_column(features, name) for name in self.columns]
        widths = {name: p.shape[1] for name, p in zip(self.columns, pooled, strict=True)}
        if len(set(widths.values())) > 1:
            raise ConfigError(
                f"streams of different widths cannot be contrasted: {widths}",
                remedy="give each stream a projection head of the same output width",
            )
        return torch.stack(pooled, dim=1)

    def pool_column(self, features: Mapping[str, Features], column: str) -> Tensor:
        """Mean of every id's tokens in one column: [I, D]; zero where an id is absent."""
        k = self.columns.index(column)
        tokens_ED = features[self.streams[k]].tokens.index_select(0, self.tokens[k])
        return segment_mean(tokens_ED, self.ids[k], self.size)


def segment_mean(values_ED: Tensor, ids_E: Tensor, size: int) -> Tensor:
    """Mean of the rows with the same id: [size, D]; zero for an id without rows."""
    sums = values_ED.new_zeros(size, values_ED.shape[1]).index_add(0, ids_E, values_ED)
    counts = torch.bincount(ids_E, minlength=size).clamp(min=1).to(values_ED.dtype)
    return sums / counts[:, None]
