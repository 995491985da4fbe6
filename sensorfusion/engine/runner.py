"""`pretrain`: a config to a trained model, or on with the run where it was interrupted.

work_dir/
  config.json  provenance.json        the resolved config; versions, command, git
  checkpoints/step_<step>/            see `sensorfusion.checkpoint`
  metrics.jsonl  tensorboard/         every step
  log.txt                             what was said
  encoders/<name>/                    the finished encoders
"""

from __future__ import annotations

import copy
import fcntl
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import torch
from mmengine.device import get_device
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from torch import nn

from sensorfusion.checkpoint import load_weights, read_document
from sensorfusion.datasets.prepared import require_prepared
from sensorfusion.engine import checkpoints, distributed, state
from sensorfusion.engine.config import build
from sensorfusion.engine.corrupt import Corrupt, Tally
from sensorfusion.engine.loop import PretrainLoop
from sensorfusion.engine.optimizer import build_optimizer
from sensorfusion.engine.plan import Loaded, Plan
from sensorfusion.engine.progress import Progress
from sensorfusion.engine.provenance import provenance, versions
from sensorfusion.engine.recipe import Loader, Train, fill, fingerprint, record
from sensorfusion.engine.update import Update
from sensorfusion.errors import CheckpointError, ConfigError, SensorFusionError
from sensorfusion.export import DOCUMENT, describe_encoder, save_encoder
from sensorfusion.model import Pretrainer
from sensorfusion.sensors.transform import flat


def pretrain(
    config: Mapping[str, Any],
    work_dir: str | Path,
    *,
    launcher: str = "none",
    allow_change: Sequence[str] = (),
) -> int:
    """Run a config to its limit; continue when `work_dir` holds a checkpoint of the same run.

    The continued run is bit-equal to one that was never interrupted (on CPUs, or with
    deterministic kernels), whatever the number of loader workers.

    Args:
        config: as `read_recipe` returns it. work_dir: all output; shared by all ranks.
        launcher: "none", "pytorch" or "slurm".
        allow_change: keys of the config that may differ from the interrupted run's. With
            `world_size`, another number of ranks continues: samples per step stay the same,
            dropout draws anew from (seed, step, rank). With `samples`, the data set may have
            another number of samples.

    Returns:
        Exit code: 0 when finished, 143 or 130 when stopped by SIGTERM or Ctrl-C after a checkpoint.

    Raises:
        ConfigError, DataError, CheckpointError, NonFiniteError: see there.
    """
    config = fill(config)
    written = record(config)
    with distributed.joined(launcher), _Lock(Path(work_dir)):
        checkpoints.clean(work_dir)
        found = checkpoints.latest(work_dir)
        if found is not None:
            checkpoints.require_same_run(found[2], written, allow_change, str(found[0]))
        runner = PretrainRunner(config, written, work_dir, launcher, resuming=found is not None)
        if found is not None:
            path, tensors, document = found
            size = runner.train_loop.plan.size
            checkpoints.require_same_data(document, size, allow_change, str(path))
            checkpoints.restore(runner, tensors, document, str(path))
        return runner.finish() if runner.iter >= runner.max_iters else runner.train()


class PretrainRunner(Runner):  # type: ignore[misc]
    """mmengine's runner with our loop, update, checkpoints and progress in place of its own.

    Args:
        config: filled. written: the same, resolved. work_dir, launcher: see `pretrain`.
        resuming: a checkpoint will be restored.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        written: dict[str, Any],
        work_dir: str | Path,
        launcher: str,
        *,
        resuming: bool,
    ) -> None:
        self.written, self.versions = written, versions()
        self.train_section = Train(**config["train"])
        self.device = torch.device(get_device())
        if config["deterministic"]:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
        state.seed_all(config["seed"])
        loaded, plan, tally = training_data(config)
        model = build(config["model"], "model")
        if isinstance(model, Pretrainer):
            _require_usable(model, loaded.dataset)
        if config["weights"] is not None and not resuming:
            state.restore_model(model, load_weights(config["weights"]), config["weights"])
        super().__init__(
            model,
            str(work_dir),
            custom_hooks=[build(hook, f"hooks.{i}") for i, hook in enumerate(config["hooks"])],
            launcher=launcher,
            randomness={"seed": config["seed"], "deterministic": config["deterministic"]},
            experiment_name=f"{Path(work_dir).resolve().name}_{time.time_ns()}",  # keyed globally
        )
        if distributed.rank() == 0:
            Path(self.log_dir).rmdir()  # a folder a start; our log is one file, see build_logger
        self.optim_wrapper = Update(
            self.model,
            build_optimizer(config["optimizer"], self.model),
            build(config["schedule"], "schedule"),
            self.train_section,
            self.device,
        )
        loader = Loader(**config["loader"])
        self._train_loop = PretrainLoop(
            self, loaded, plan, self.train_section.epochs, loader.workers, tally
        )
        state.seed_all(config["seed"], distributed.rank())

    def train(self) -> int:
        """Train from the current step on; returns the exit code."""
        self._require_prepared()
        self.started_at = self.iter
        self.logger.info(f"steps {self.iter + 1} to {self.max_iters} in {self.work_dir}")
        self.call_hook("before_run")
        self.train_loop.run()
        self.call_hook("after_run")
        if self.iter < self.max_iters:
            self.logger.info(
                f"stopped after step {self.iter} of {self.max_iters}; the same command continues"
            )
            return int(self.train_loop.exit_code)
        return self.finish()

    def _require_prepared(self) -> None:
        """Refuse, before the first step, data that lack what is made before a training."""
        loop, problem = self.train_loop, None
        if distributed.rank() == 0:
            try:
                loaded = loop.dataloader
                require_prepared(loaded.dataset, loaded.transforms, workers=loop.workers)
            except SensorFusionError as error:
                problem = error
        told = distributed.gather(torch.tensor(problem is not None))
        if problem is not None:
            raise problem
        if told.any():
            raise ConfigError("the data are not ready; the error of rank 0 says why")

    def finish(self) -> int:
        """Write the encoders of a finished run and say so."""
        if distributed.rank() == 0:
            self._write_encoders()
            self.logger.info(f"finished: {self.max_iters} steps in {self.work_dir}")
        return 0

    def wrap_model(self, model_wrapper_cfg: Any, model: nn.Module) -> nn.Module:
        """Move the model to its device; ranks begin with the same weights."""
        model = model.to(self.device)
        distributed.broadcast_state(model)
        return model

    def register_default_hooks(self, hooks: Any = None) -> None:
        """Progress and checkpoints; mmengine's own would do both a second time."""
        train = self.train_section
        self.register_hook(Progress(train.log_every))
        self.register_hook(
            checkpoints.Checkpoints(train.checkpoint_every, train.keep, self.written)
        )

    def build_logger(self, log_level: Any = "INFO", **kwargs: Any) -> MMLogger:
        """Log to the console and to `log.txt`, through all starts of the run."""
        return super().build_logger(log_level, str(Path(self.work_dir) / "log.txt"))

    def build_visualizer(self, visualizer: Any = None) -> None:
        """None: `Progress` writes the metrics, and mmengine's would import matplotlib."""

    def get_hooks_info(self) -> str:
        """The hooks by name; mmengine's own table is one of every hook at every point."""
        return ", ".join(type(hook).__name__ for hook in self.hooks)

    def dump_config(self) -> None:
        """Write `config.json` and `provenance.json`."""
        if distributed.rank() == 0:
            for name, content in (("config", self.written), ("provenance", provenance())):
                path = Path(self.work_dir) / f"{name}.json"
                path.write_text(json.dumps(content, indent=2) + "\n")

    def _log_env(self, env_cfg: Any) -> None:
        self.logger.info(f"versions: {self.versions}")

    def _write_encoders(self) -> None:
        """Write every encoder with its head, with the averaged weights where there are any."""
        if not isinstance(self.model, Pretrainer):
            return
        average = self.optim_wrapper.average
        model = self.model
        if average is not None:
            model = copy.deepcopy(model)
            state.restore_model(model, average.tensors, "the moving average")
        note = {
            "config_sha256": fingerprint(self.written),
            "step": self.iter,
            "versions": self.versions,
        }
        for name, (encoder, head) in model.finished().items():
            path = Path(self.work_dir) / "encoders" / name
            if not _holds(path, note):
                save_encoder(path, encoder, head=head, note=note)


def training_data(config: Mapping[str, Any]) -> tuple[Loaded, Plan, Tally]:
    """The samples of a filled config, their order on this rank, and the count of corrupt ones."""
    data, loader, seed = config["data"], config["loader"], config["seed"]
    dataset = build(data["train"], "data.train")
    transforms = list(flat(build(list(data["transforms"]), "data.transforms")))
    policy = Corrupt(**data["corrupt"])
    plan = Plan(
        size=len(dataset),
        batch_size=loader["batch_size"],
        seed=seed,
        drop_last=loader["drop_last"],
        rank=distributed.rank(),
        world=distributed.world(),
    )
    return Loaded(dataset, transforms, seed, policy), plan, Tally(policy, len(dataset))


def _require_usable(model: Pretrainer, dataset: Any) -> None:
    """Refuse before the training what would be missing in it, or after it."""
    known = dataset.sensors
    unknown = [s for s in model.sensors if s not in known and s.partition(".")[0] not in known]
    if unknown:
        raise ConfigError(
            f"the data set has no sensors {unknown}",
            where="model.sensors",
            remedy=f"it has {sorted(known)}; what a transform makes of one is <sensor>.<view>",
        )
    for encoder, head in model.finished().values():
        describe_encoder(encoder, head)


def _holds(path: Path, note: Mapping[str, Any]) -> bool:
    """Whether a finished run has written this encoder already."""
    if not path.exists():
        return False
    return bool(read_document(path, name=DOCUMENT).get("note") == note)


class _Lock:
    """Keeps two runs out of one folder. Released by the system when the process ends."""

    def __init__(self, work_dir: Path) -> None:
        self.path = work_dir / ".lock"
        self.file: IO[str] | None = None

    def __enter__(self) -> None:
        if distributed.rank() != 0:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.file = self.path.open("w")
        except OSError as error:
            raise CheckpointError(
                f"cannot write: {error}",
                where=str(self.path.parent),
                remedy="make the folder writable or choose another --work-dir",
            ) from error
        try:
            fcntl.lockf(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(
                "another run is using this work folder",
                where=str(self.path.parent),
                remedy="wait until it ends, or choose another --work-dir",
            ) from error

    def __exit__(self, *_: object) -> None:
        if self.file is not None:
            self.file.close()
