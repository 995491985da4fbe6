"""The simulated world's third gate: what a MinkUNet learns from all labels.

Trained on fully labelled sweeps of 32 beams, a MinkUNet with a linear head reaches at least 65 mIoU
over the sixteen classes on scenes apart from those of its training. Settings are chosen on the
scenes of `VALIDATION`; those of `TEST` are looked at once, after the last step.

    python benchmarks/simulation_ceiling.py WORK_DIR [--out RESULT.json] [--steps 4000]

The same command continues a run that was interrupted, and ends with the same weights.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numba
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import AdamW, Optimizer

from sensorfusion.checkpoint import read_folder, write_folder
from sensorfusion.collate import collate
from sensorfusion.datasets.dataset import Cached
from sensorfusion.datasets.simulated import SimulatedWorld
from sensorfusion.encoders.heads import LinearHead
from sensorfusion.encoders.minkunet import MinkUNet
from sensorfusion.engine import state
from sensorfusion.engine.optimizer import build_optimizer, set_rate
from sensorfusion.engine.plan import Loaded, Plan
from sensorfusion.engine.provenance import versions
from sensorfusion.engine.schedule import Cosine
from sensorfusion.errors import ConfigError
from sensorfusion.evaluation.lovasz import lovasz_softmax
from sensorfusion.evaluation.segmentation import Segmented, class_weights, segment
from sensorfusion.progress_bar import ProgressBar
from sensorfusion.sample import SensorBatch
from sensorfusion.sensors.lidar import UNLABELLED, SourceIntensity
from sensorfusion.sensors.lidar_augment import FlipXY
from sensorfusion.simulation import WORLD_VERSION
from sensorfusion.simulation.classes import CLASSES

GATE = 65.0
TEST, VALIDATION = tuple(range(100, 108)), tuple(range(200, 206))
FIRST_TOWN = 1000  # of the training
EVERY = 6.0  # seconds between the sweeps of a scene
CHECKPOINT_STEPS, VALIDATION_STEPS = 50, 250


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the result depends on.

    Args:
        seed: of everything. towns: of the training. steps: of AdamW. batch: scans of a step.
        columns, voxel (m), planes: see `MinkUNet`.
        rate: the largest, along a cosine. decay: of the weights. warmup: steps.
        lovasz: factor of the Lovász-softmax, added to the cross-entropy with rooted weights.
    """

    seed: int = 0
    towns: int = 300
    steps: int = 4000
    batch: int = 2
    columns: Sequence[str] = ("x", "y", "z", "intensity")
    voxel: float = 0.2
    planes: Sequence[int] = (32, 64, 96, 128, 96, 64, 64, 64)
    rate: float = 4e-3
    decay: float = 1e-2
    warmup: int = 100
    lovasz: float = 1.0

    def said(self) -> dict[str, Any]:
        """As JSON has them, with the version of the world."""
        said: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return {"world": WORLD_VERSION, **said}


@dataclass
class Training:
    """A network, its optimiser, the seconds that it took, and the values of its steps so far."""

    network: nn.ModuleDict
    optimizer: Optimizer
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    validation: list[dict[str, Any]] = field(default_factory=list)


def sweeps(scenes: Sequence[int], seed: int) -> Cached:
    """Labelled sweeps of some scenes."""
    world = SimulatedWorld(scenes, seed=seed, every=EVERY, sensors=("lidar",), labels=True)
    return Cached(world, [SourceIntensity()])


def new_training(settings: Settings) -> Training:
    """A training before its first step."""
    state.seed_all(settings.seed)
    voxel, units = (settings.voxel,) * 3, ("m, intensity 0-255",)
    size: dict[str, Any] = {"blocks": (1,) * 8, "planes": settings.planes}
    encoder = MinkUNet(units=units, columns=settings.columns, voxel=voxel, **size)
    head = LinearHead(encoder.width, len(CLASSES))
    network = nn.ModuleDict({"encoder": encoder, "head": head})
    node = {"type": AdamW, "lr": settings.rate, "weight_decay": settings.decay}
    return Training(network, build_optimizer(node, network))


def save(training: Training, settings: Settings, folder: Path) -> None:
    """Write all that the training has to remember."""
    tensors, numbers = state.optimizer_state(training.optimizer)
    tensors |= state.model_tensors(training.network)
    progress = {name: getattr(training, name) for name in ("seconds", "losses", "validation")}
    document = {"settings": settings.said(), "optimizer": numbers, "progress": progress}
    write_folder(folder, tensors, document)


def restore(settings: Settings, folder: Path) -> Training:
    """The training that `save` wrote; a new one, if there is none.

    Raises:
        ConfigError: when it has other settings.
    """
    training = new_training(settings)
    if not folder.exists():
        return training
    tensors, document = read_folder(folder)
    if document["settings"] != settings.said():
        raise ConfigError(
            f"settings {settings.said()}, the run has {document['settings']}",
            where=str(folder),
            remedy="give those of the run, or another folder",
        )
    state.restore_model(training.network, state.below("model/", tensors), str(folder))
    state.restore_optimizer(training.optimizer, tensors, document["optimizer"])
    return replace(training, **document["progress"])


def weights(data: Cached) -> Tensor:
    """Weights [C] of the classes in the cross-entropy."""
    first = collate([data[row] for row in range(min(len(data), 200))])
    label_N = first["lidar"].values["label"].long()
    return class_weights(label_N[label_N != UNLABELLED], len(CLASSES), "root")


def measure(training: Training, data: Cached) -> Segmented:
    """What the network predicts for the points of some scenes."""
    encoder, head = training.network.values()
    return segment(cast(MinkUNet, encoder), head, data, "lidar", CLASSES)


def iou_of(counted: Segmented) -> dict[str, float | None]:
    """IoU of each class, %, and their mean; None for a class without points."""
    iou = zip((*CLASSES, "mean"), (*counted.iou.tolist(), counted.miou), strict=True)
    return {name: None if math.isnan(value) else round(value, 2) for name, value in iou}


def advance(training: Training, batch: SensorBatch, weight_C: Tensor, settings: Settings) -> None:
    """One step of the optimiser on cross-entropy and Lovász-softmax."""
    schedule = Cosine(warmup_steps=settings.warmup)
    set_rate(training.optimizer, schedule, len(training.losses), settings.steps)
    encoder, head = training.network.train().values()
    known_N = batch.values["label"] != UNLABELLED
    logits_NC, label_N = head(encoder(batch).tokens[known_N]), batch.values["label"][known_N].long()
    jaccard = lovasz_softmax(logits_NC.softmax(1), label_N)
    loss = cross_entropy(logits_NC, label_N, weight=weight_C) + settings.lovasz * jaccard
    training.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    training.optimizer.step()
    training.losses.append(round(float(loss.detach()), 4))


def train(settings: Settings, folder: Path, stop: int) -> Training:
    """Train, or continue, until step `stop`; look at the validation scenes now and then."""
    training = restore(settings, folder)
    data = sweeps(range(FIRST_TOWN, FIRST_TOWN + settings.towns), settings.seed)
    others, weight_C = sweeps(VALIDATION, settings.seed), weights(data)
    plan = Plan(size=len(data), batch_size=settings.batch, seed=settings.seed)
    loaded = Loaded(data, [FlipXY()], settings.seed)
    start, before, began = len(training.losses), training.seconds, time.monotonic()
    with ProgressBar("training") as bar:
        for step in range(start, stop):
            batch = collate([loaded.load(*key) for key in plan.batch(step)])["lidar"]
            advance(training, batch, weight_C, settings)
            done, passed = step + 1, time.monotonic() - began
            if done % VALIDATION_STEPS == 0 or done == settings.steps:
                found = iou_of(measure(training, others))
                training.validation.append({"step": done, **found})
                print(f"step {done}: {found}", flush=True)
            training.seconds = before + passed
            if done % CHECKPOINT_STEPS == 0 or done == stop:
                save(training, settings, folder)
            pace = settings.batch * (done - start) / passed
            left = (stop - done) * settings.batch / pace / 60
            text = f"loss {training.losses[-1]:.2f}, {pace:.1f} scans/s"
            bar.advance(done, stop, f"{text}, {left:.0f} min left")
    return training


def result(training: Training, settings: Settings, counted: Segmented) -> dict[str, Any]:
    """All that a reader needs to judge or repeat the measurement, for JSON."""
    return {
        "settings": settings.said(),
        "scenes": {"train from": FIRST_TOWN, "validation": VALIDATION, "test": TEST},
        "seconds_between_sweeps": EVERY,
        "test_iou": iou_of(counted),
        "test_counts": counted.counts.tolist(),
        "validation_iou": training.validation,
        "loss": training.losses[:: max(1, len(training.losses) // 100)],
        "minutes": round(training.seconds / 60, 1),
        "versions": versions(),
    }


def parse(arguments: Sequence[str] | None) -> tuple[argparse.Namespace, Settings]:
    """The command line: where to, and the settings."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("work_dir", type=Path, help="folder of the run's checkpoint")
    parser.add_argument("--out", type=Path, help="JSON file of the result; none: not tested")
    parser.add_argument("--stop", type=int, help="step at which to stop early")
    for name, value in asdict(Settings()).items():
        kind, nargs = (type(value[0]), "+") if isinstance(value, tuple) else (type(value), None)
        parser.add_argument(f"--{name}", type=kind, default=value, nargs=nargs)
    options = parser.parse_args(arguments)
    return options, Settings(**{name: getattr(options, name) for name in asdict(Settings())})


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, test once, and write what was found."""
    options, settings = parse(arguments)
    stop = min(options.stop or settings.steps, settings.steps)
    training = train(settings, options.work_dir / "checkpoint", stop)
    if options.out is None or len(training.losses) < settings.steps:
        return
    counted = measure(training, sweeps(TEST, settings.seed))
    verdict = "passed" if counted.miou >= GATE else "FAILED"
    print(f"test: {counted.miou:.1f} mIoU ({verdict}: at least {GATE:.0f}), {iou_of(counted)}")
    options.out.write_text(json.dumps(result(training, settings, counted), indent=1) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    numba.set_num_threads(1)
    main()
