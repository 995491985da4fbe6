"""What a config of a pretraining run may say, with defaults; the sections and their checks."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sensorfusion.engine.config import Tree, call, read_config, resolved, set_options
from sensorfusion.engine.corrupt import Corrupt
from sensorfusion.engine.schedule import Constant
from sensorfusion.errors import ConfigError

PRECISIONS = ("float32", "bfloat16", "float16")
# What may change on resume without being named: it does not touch the result.
HARMLESS = (
    "loader.workers",
    "train.checkpoint_every",
    "train.keep",
    "train.log_every",
    "data.validation",
    "data.test",
    "evaluation",
)


@dataclass(frozen=True, kw_only=True)
class Data:
    """Section `data`.

    Args:
        train: data set of the run (a dict with `type`).
        transforms: applied to every sample, `(Sample, np.random.Generator) -> Sample`.
        corrupt: what to do with samples that cannot be read, see `Corrupt`.
        validation, test: for evaluation; pretraining does not open them.
    """

    train: Mapping[str, Any]
    transforms: Sequence[Mapping[str, Any]] = ()
    corrupt: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    validation: Mapping[str, Any] | None = None
    test: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Loader:
    """Section `loader`.

    Args:
        batch_size: samples of a step over all ranks together.
        workers: loader processes per rank; never changes the result.
        drop_last: leave out the last, smaller batch of an epoch.
    """

    batch_size: int
    workers: int = 0
    drop_last: bool = True

    def __post_init__(self) -> None:
        _at_least(1, batch_size=self.batch_size)
        _at_least(0, workers=self.workers)


@dataclass(frozen=True, kw_only=True)
class Train:
    """Section `train`.

    Args:
        epochs: limit of the run; it may be raised later.
        precision: "float32", or autocast to "bfloat16" or "float16" (with loss scaling).
        clip_norm: largest norm of the whole gradient, or None.
        ema: decay of an exponential moving average of the weights, or None.
        accumulate: microbatches per step; losses and gradient remain those of the whole batch.
        checkpoint_every: steps between checkpoints; None: at the end of every epoch.
        keep: how many checkpoints are kept.
        log_every: steps between lines of progress where there is no terminal.
    """

    epochs: int
    precision: str = "float32"
    clip_norm: float | None = None
    ema: float | None = None
    accumulate: int = 1
    checkpoint_every: int | None = None
    keep: int = 2
    log_every: int = 10

    def __post_init__(self) -> None:
        _at_least(1, epochs=self.epochs, accumulate=self.accumulate, keep=self.keep)
        _at_least(1, checkpoint_every=self.checkpoint_every or 1, log_every=self.log_every)
        if self.precision not in PRECISIONS:
            raise ConfigError(f"unknown precision {self.precision!r}, known: {PRECISIONS}")
        if self.ema is not None and not 0 <= self.ema < 1:
            raise ConfigError(f"ema is a decay in [0, 1), found {self.ema}")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise ConfigError(f"clip_norm must be above 0, found {self.clip_norm}")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole config.

    Args:
        model: builds a module `batch -> named weighted losses`, as `Pretrainer`.
        data, loader, train: see `Data`, `Loader`, `Train`.
        optimizer: a torch optimiser's `type` and arguments, and `groups`: {pattern of parameter
            names: changed arguments}; the first pattern that matches a name counts.
        schedule: factor of the learning rate as a function of the step, see `schedule`.
        seed: of everything random.
        deterministic: refuse operations without a deterministic implementation.
        weights: file of initial weights of the whole model.
        hooks: further mmengine hooks.
        evaluation: for `tools/evaluate.py`.
    """

    model: Mapping[str, Any]
    data: Mapping[str, Any]
    loader: Mapping[str, Any]
    train: Mapping[str, Any]
    optimizer: Mapping[str, Any]
    schedule: Mapping[str, Any] = dataclasses.field(default_factory=lambda: {"type": Constant})
    seed: int = 0
    deterministic: bool = False
    weights: str | None = None
    hooks: Sequence[Mapping[str, Any]] = ()
    evaluation: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        _at_least(0, seed=self.seed)


SECTIONS: dict[str, type[Any]] = {"data": Data, "loader": Loader, "train": Train}


def read_recipe(path: str | Path, options: Sequence[str] = ()) -> Tree:
    """Read a config file: checked, defaults filled in, command-line options set.

    Raises:
        ConfigError: naming the key path.
    """
    return fill(set_options(fill(read_config(path)), options))


def fill(tree: Mapping[str, Any]) -> Tree:
    """The tree with every default written out, sections checked."""
    complete = _expanded(Recipe, tree, "config")
    for name, section in SECTIONS.items():
        complete[name] = _expanded(section, complete[name], name)
    complete["data"]["corrupt"] = _expanded(Corrupt, complete["data"]["corrupt"], "data.corrupt")
    return complete


def fingerprint(config: Any) -> str:
    """SHA-256 of a resolved config."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def record(tree: Tree) -> Tree:
    """The filled tree as JSON."""
    written: Tree = resolved(tree)
    return written


def _expanded(kind: type[Any], section: Mapping[str, Any], where: str) -> Tree:
    if not isinstance(section, Mapping):
        raise ConfigError(f"found {section!r}, expected a dict", where=where)
    made = call(kind, section, where)
    return {field.name: getattr(made, field.name) for field in dataclasses.fields(made)}


def _at_least(least: int, **values: int) -> None:
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ConfigError(f"{name} must be a whole number >= {least}, found {value!r}")
