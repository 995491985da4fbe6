"""What every data set is, where its files are found, and how samples are kept in memory."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from sensorfusion.datasets.prepared import require_prepared
from sensorfusion.errors import ConfigError, DataError, PreparationError
from sensorfusion.jobs import call_all
from sensorfusion.progress_bar import ProgressBar
from sensorfusion.sample import Reading, Sample
from sensorfusion.sensors.transform import Transforms, apply_all, flat

ROOT_VARIABLE = "SENSORFUSION_DATA"
NameT = TypeVar("NameT", bound=str)
_PARTS = 4  # pieces of work for each process of a cache


class Dataset(Protocol):
    """An index of samples; reading one twice gives the same sample."""

    @property
    def sensors(self) -> Mapping[str, type[Reading]]:
        """The type of reading of every sensor that samples may have."""

    @property
    def class_names(self) -> Mapping[str, Sequence[str]]:
        """Of each label whose numbers have names: the name of class 0, 1, ..."""

    def __len__(self) -> int:
        """Number of samples."""

    def __getitem__(self, index: int) -> Sample:
        """One sample.

        Raises:
            DataError: when its files cannot be used.
            IndexError: outside [0, len).
        """


def data_folder(name: str, root: str | Path | None = None) -> Path:
    """The folder of a data set.

    Args:
        name: the folder's name below the common root of recordings.
        root: the folder itself; None: `name` below the variable SENSORFUSION_DATA, whose default
            is `../shared/data`, seen from the repository that holds the working directory.

    Raises:
        DataError: when there is no such folder.
    """
    folder = Path(root) if root is not None else _common_root() / name
    if not folder.is_dir():
        raise DataError(
            "the folder of recordings does not exist",
            where=str(folder),
            remedy=f"give `root`, or set {ROOT_VARIABLE} to the folder that holds {name!r}",
        )
    return folder


def _common_root() -> Path:
    variable = os.environ.get(ROOT_VARIABLE)
    if variable:
        return Path(variable)
    here = Path.cwd()
    repository = next((p for p in (here, *here.parents) if (p / ".git").exists()), here)
    return repository.parent / "shared" / "data"


def require_known(
    chosen: Sequence[NameT], known: Sequence[NameT], *, what: str, where: str
) -> tuple[NameT, ...]:
    """The chosen names as a tuple.

    Raises:
        ConfigError: when there is none, or one is not known.
    """
    unknown = [name for name in chosen if name not in known]
    if unknown or not chosen or isinstance(chosen, str):
        raise ConfigError(
            f"unknown {what} {unknown}" if unknown else f"{what} = {chosen!r} names none",
            where=where,
            remedy=f"choose from {list(known)}",
        )
    return tuple(chosen)


class Cached:
    """A data set after deterministic transforms, computed once and kept in memory.

    The samples are made at construction, so that loader workers that fork share them. A sample
    that cannot be read raises its error when it is asked for, as without the cache.

    Args:
        dataset: what to keep.
        transforms: deterministic transforms; the smaller their result, the smaller the cache.
        workers: processes that make the samples; worth their start where a sample takes long.

    Raises:
        ConfigError: when a transform is random; for less than one worker.
        PreparationError: when one lacks what `tools/prepare.py` makes, for any of the samples.
    """

    def __init__(self, dataset: Dataset, transforms: Transforms = (), *, workers: int = 1) -> None:
        drawing = [type(transform).__name__ for transform in flat(transforms) if transform.random]
        if drawing:
            raise ConfigError(
                f"random transforms cannot be kept: {drawing}",
                where="Cached",
                remedy="apply them after the cache, when samples are loaded",
            )
        self.dataset = dataset
        rows = range(len(dataset))
        step = max(1, len(rows) // (_PARTS * workers)) if workers > 1 else 1
        calls = [(dataset, rows[i : i + step], transforms) for i in rows[::step]]
        found: dict[int, Sample | DataError] = {}
        with ProgressBar("reading samples", delay=2.0) as bar:
            try:
                for part in call_all(_attempts, calls, workers=workers, where="Cached"):
                    found.update(part)
                    bar.advance(len(found), len(dataset))
            except PreparationError:
                require_prepared(dataset, transforms)  # names what all samples lack
                raise
        self._kept = [found[row] for row in rows]

    @property
    def sensors(self) -> Mapping[str, type[Reading]]:
        """The sensors of the underlying data set."""
        return self.dataset.sensors

    @property
    def class_names(self) -> Mapping[str, Sequence[str]]:
        """The names of the underlying data set."""
        return self.dataset.class_names

    @property
    def nbytes(self) -> int:
        """Memory of the kept arrays."""
        return sum(
            getattr(reading, name).nbytes
            for sample in self._kept
            if isinstance(sample, Sample)
            for frame in sample.frames
            for reading in frame.readings.values()
            for name in reading.held
        )

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, index: int) -> Sample:
        kept = self._kept[index]
        if isinstance(kept, DataError):
            raise kept
        return kept


class Uncached:
    """A data set after deterministic transforms, computed whenever a sample is asked for.

    Args:
        dataset, transforms: see `Cached`.
    """

    def __init__(self, dataset: Dataset, transforms: Transforms = ()) -> None:
        self.dataset, self.transforms = dataset, transforms

    @property
    def sensors(self) -> Mapping[str, type[Reading]]:
        """The sensors of the underlying data set."""
        return self.dataset.sensors

    @property
    def class_names(self) -> Mapping[str, Sequence[str]]:
        """The names of the underlying data set."""
        return self.dataset.class_names

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        unused = np.random.default_rng(0)  # deterministic transforms do not draw
        return apply_all(self.transforms, self.dataset[index], unused)


def uncached(node: Any) -> Any:
    """A config's or a record's data set that computes only the samples that are asked for."""
    if isinstance(node, Mapping):
        lazy = {Cached: Uncached, _recorded(Cached): _recorded(Uncached)}
        changed = {key: uncached(value) for key, value in node.items()}
        kind = changed.get("type")
        if kind not in lazy:
            return changed
        changed.pop("workers", None)
        return {**changed, "type": lazy[kind]}
    return node


def _recorded(kind: type[Any]) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _attempts(
    dataset: Dataset, rows: Sequence[int], transforms: Transforms
) -> dict[int, Sample | DataError]:
    return {row: _attempt(dataset, row, transforms) for row in rows}


def _attempt(dataset: Dataset, index: int, transforms: Transforms) -> Sample | DataError:
    unused = np.random.default_rng(0)  # deterministic transforms do not draw
    try:
        return _compact(apply_all(transforms, dataset[index], unused))
    except DataError as error:
        return error


def _compact(sample: Sample) -> Sample:
    """Readings that own their arrays: a view would keep the whole array behind it alive."""

    def own(_: str, reading: Reading) -> Reading:
        arrays = {name: np.array(getattr(reading, name), order="C") for name in reading.held}
        return reading.replace(**arrays)

    return sample.map_readings(own)
