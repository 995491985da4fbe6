"""Checkpoints of a run: when they are written, which are kept, and how a run continues."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook

from sensorfusion.checkpoint import read_folder, remove_partial, write_folder
from sensorfusion.engine import distributed, state
from sensorfusion.engine.config import differences
from sensorfusion.engine.recipe import HARMLESS, fingerprint
from sensorfusion.errors import CheckpointError, ConfigError, DataError

KIND = "pretraining"
_PREFIX = "step_"


class Checkpoints(Hook):  # type: ignore[misc]
    """Writes `checkpoints/step_<step>/` after a step when it is due, requested, or the last.

    Args:
        every: steps between checkpoints; None: at the end of every epoch.
        keep: how many are kept, newest first.
        config: the resolved config, stored with every checkpoint.
    """

    priority = "VERY_LOW"  # after the hooks whose effects it has to contain

    def __init__(self, every: int | None, keep: int, config: dict[str, Any]) -> None:
        self.every, self.keep, self.config = every, keep, config

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Save when it is time."""
        loop = runner.train_loop
        done = runner.iter + 1
        every = self.every or loop.plan.steps_per_epoch
        if done % every == 0 or done == loop.max_iters or loop.stopping:
            self.save(runner, done)
        elif done == 1 or runner.iter == runner.started_at:
            distributed.require_equal(state.model_tensors(runner.model))

    def save(self, runner: Any, done: int) -> None:
        """Write the state after `done` steps; older checkpoints beyond `keep` are removed."""
        tensors = state.model_tensors(runner.model)
        distributed.require_equal(tensors)
        tensors = tensors | state.random_tensors()
        optimizer, numbers = state.optimizer_state(runner.optim_wrapper.optimizer)
        average = runner.optim_wrapper.average
        if average is not None:
            tensors |= {f"ema/{name}": value for name, value in average.tensors.items()}
        if distributed.rank() == 0:
            path = folder(runner.work_dir) / f"{_PREFIX}{done:08d}"
            write_folder(path, tensors | optimizer, self._document(runner, done, numbers))
            for old in existing(runner.work_dir)[: -self.keep]:
                shutil.rmtree(old)

    def _document(self, runner: Any, done: int, numbers: dict[str, Any]) -> dict[str, Any]:
        loop = runner.train_loop
        return {
            "kind": KIND,
            "step": done,
            "epoch": done // loop.plan.steps_per_epoch,
            "steps": loop.max_iters,
            "world_size": distributed.world(),
            "samples": loop.plan.size,
            "config": self.config,
            "config_sha256": fingerprint(self.config),
            "versions": runner.versions,
            "rate": runner.optim_wrapper.optimizer.param_groups[0]["lr"],
            "optimizer": numbers,
            "scaler": runner.optim_wrapper.scaler_state(),
            "corrupt": loop.tally.state(),
            "units": loop.units,
        }


def folder(work_dir: str | Path) -> Path:
    """Where a run's checkpoints are."""
    return Path(work_dir) / "checkpoints"


def existing(work_dir: str | Path) -> list[Path]:
    """A run's checkpoints, oldest first."""
    return sorted(folder(work_dir).glob(f"{_PREFIX}*"))


def latest(work_dir: str | Path) -> tuple[Path, state.Tensors, dict[str, Any]] | None:
    """The newest checkpoint of a run, verified: (folder, tensors, document), or None.

    Raises:
        CheckpointError: naming the damaged file. An older one is never taken unasked.
    """
    found = existing(work_dir)
    if not found:
        return None
    tensors, document = read_folder(found[-1])
    if document.get("kind") != KIND:
        raise CheckpointError("not a checkpoint of a pretraining run", where=str(found[-1]))
    return found[-1], tensors, document


def clean(work_dir: str | Path) -> None:
    """Remove what a killed run left half-written."""
    if distributed.rank() == 0:
        remove_partial(folder(work_dir))
        remove_partial(Path(work_dir) / "encoders")


def require_same_run(
    document: dict[str, Any], config: dict[str, Any], allowed: Sequence[str], where: str
) -> None:
    """Check that a run continues with the config and number of ranks that it began with.

    Args:
        document: of the checkpoint. config: resolved, of now.
        allowed: key paths that may differ, with all that lies below them.
        where: the checkpoint.

    Raises:
        ConfigError: showing every difference that isn't allowed.
    """
    changed = differences(document["config"], config)
    changed |= differences(
        {"world_size": document["world_size"]}, {"world_size": distributed.world()}
    )
    free = (*allowed, *HARMLESS)
    refused = {
        path: change
        for path, change in changed.items()
        if not any(path == key or path.startswith(f"{key}.") for key in free)
    }
    if refused:
        lines = [f"{path}: {old!r} -> {new!r}" for path, (old, new) in refused.items()]
        keys = " ".join(f"--allow-change {path}" for path in refused)
        raise ConfigError(
            "the config differs from the one that this run began with:\n    "
            + "\n    ".join(lines),
            where=where,
            remedy=f"change it back, choose another --work-dir, or allow the change with {keys}",
        )


def require_same_data(
    document: dict[str, Any], samples: int, allowed: Sequence[str], where: str
) -> None:
    """Check that the data set still has the size that it had.

    Raises:
        DataError: naming both sizes.
    """
    if document["samples"] != samples and "samples" not in allowed:
        raise DataError(
            f"the data set has {samples} samples, the run began with {document['samples']}",
            where=where,
            remedy="check the data root, or allow the change with --allow-change samples",
        )


def restore(runner: Any, tensors: state.Tensors, document: dict[str, Any], where: str) -> None:
    """Put a run into the state of a checkpoint."""
    loop, update = runner.train_loop, runner.optim_wrapper
    state.restore_model(runner.model, state.below("model/", tensors), where)
    state.restore_optimizer(update.optimizer, tensors, document["optimizer"])
    average = state.below("ema/", tensors)
    if update.average is not None and average:
        update.average.tensors = {
            name: value.to(update.average.tensors[name].device) for name, value in average.items()
        }
    if document["scaler"]:
        update.scaler.load_state_dict(document["scaler"])
    loop.tally.restore(document["corrupt"])
    loop.units = dict(document["units"])
    loop.iter = document["step"]
    changed = differences(document["versions"], runner.versions)
    if changed:
        runner.logger.warning(f"other versions than before, results may differ: {changed}")
    if document["world_size"] == distributed.world():
        state.restore_random(tensors)
    else:
        state.seed_all(runner.seed, loop.iter, distributed.rank())
