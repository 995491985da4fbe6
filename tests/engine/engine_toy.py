"""A small data set of two sensors and a model with dropout and batch norm, for engine tests."""

import json
import os
import signal
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from mmengine.hooks import Hook
from torch import distributed as dist
from torch import nn

from sensorfusion.encoders.encoder import Encoder
from sensorfusion.encoders.heads import PresentBatchNorm1d
from sensorfusion.errors import DataError
from sensorfusion.geometry.clock import Clock
from sensorfusion.matching.moments import Moments
from sensorfusion.model import Pretrainer, Weighted
from sensorfusion.objectives.term import Term
from sensorfusion.sample import Features, Frame, Reading, Sample

CHANNELS, ROWS = 4, 6


@dataclass(frozen=True, kw_only=True)
class Wave(Reading):
    ARRAYS: ClassVar[tuple[str, ...]] = ("values_TC",)
    values_TC: np.ndarray


def wave(values_TC):
    return Wave(clock=Clock.fraction(ROWS), axes="any", unit="m", values_TC=values_TC)


class Waves:
    """Two noisy views of one signal; the second sensor is missing in every `missing`-th sample."""

    def __init__(self, size=32, missing=5, corrupt=(), nan_at=()):
        self.size, self.missing, self.corrupt, self.nan_at = size, missing, corrupt, nan_at

    sensors: ClassVar = {"left": Wave, "right": Wave}

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        if index in self.corrupt:
            raise DataError("truncated", where=f"wave_{index}.bin")
        generator = np.random.default_rng(index)
        signal_TC = generator.normal(size=(ROWS, CHANNELS)).astype(np.float32)
        readings = {"left": wave(signal_TC), "right": wave(signal_TC[:, ::-1].copy())}
        if index % self.missing == 0:
            del readings["right"]
        if index in self.nan_at:
            readings["left"].values_TC[0, 0] = np.nan
        return Sample(f"wave_{index}", (Frame(readings),))


@dataclass(frozen=True)
class Jitter:
    scale: float = 0.1

    def __call__(self, sample, generator):
        def change(_, reading):
            noise = generator.normal(size=reading.values_TC.shape).astype(np.float32)
            return reading.replace(values_TC=reading.values_TC + self.scale * noise)

        return sample.map_readings(change)


class WaveEncoder(Encoder):
    reading = Wave
    units = ("m",)

    def __init__(self, width=8, dropout=0.2, norm=True):
        super().__init__()
        self.width, self.dropout, self.norm = width, dropout, norm
        self.layers = nn.Sequential(
            nn.Linear(ROWS * CHANNELS, 16),
            PresentBatchNorm1d(16) if norm else nn.Identity(),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(16, width),
        )

    def forward(self, batch):
        batch.require(Wave, *self.units)
        values = batch.values["values_TC"].flatten(1).to(self.layers[0].weight.dtype)
        return Features.one_per_reading(self.layers(values), batch)


class WaveHead(nn.Sequential):
    def __init__(self, width=8, dropout=0.1):
        super().__init__(nn.Linear(width, width), nn.Dropout(dropout))
        self.width, self.dropout = width, dropout


class Contrast(Term):
    """InfoNCE over this rank's moments; with state: a buffer that counts steps."""

    def __init__(self):
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(1.0))
        self.register_buffer("steps", torch.tensor(0))

    def forward(self, features, correspondence, targets):
        pooled = correspondence.pool(features)[correspondence.present.all(dim=1)]
        pooled = nn.functional.normalize(pooled, dim=-1)
        logits = self.log_scale.exp() * pooled[:, 0] @ pooled[:, 1].T
        goal = torch.arange(len(logits))
        return {"contrast": nn.functional.cross_entropy(logits, goal, reduction="sum") / 16}

    def after_step(self):
        self.steps += 1


class Spread(Term):
    """A second term, without state."""

    def forward(self, features, correspondence, targets):
        return {"spread": features["left"].tokens.square().sum() / 64}


def pretrainer(encoders, width=8, norm=True, frozen=()):
    matching = Moments(("left", "right"))
    terms = {
        "pair": Weighted(Contrast(), matching),
        "wide": Weighted(Spread(), matching, weight=0.1),
    }
    sensors = {"left": "wave", "right": "wave"}
    heads = {"wave": WaveHead(width, dropout=0.1 if norm else 0.0)}
    return Pretrainer(encoders, sensors, terms, heads=heads, frozen=frozen)


class Whole(Term):
    """A loss of the whole distributed batch: its value everywhere, its gradient in parts."""

    def forward(self, features, correspondence, targets):
        part = features["left"].tokens.square().sum() / 8 + features["right"].tokens.sum() / 8
        whole = part.detach().clone()
        if dist.is_initialized():
            dist.all_reduce(whole)
        return {"whole": part + (whole - part.detach())}


def smooth_pretrainer(encoders):
    """Without batch norm: ranks give what one process gives."""
    model = pretrainer(encoders, norm=False)
    model.terms = nn.ModuleDict({"pair": Whole()})
    return model


class Trace(Hook):
    """Appends every step's sample ids to a file; sends itself signals after chosen steps.

    Each signal, `(step, name)`, is sent by rank 0 and once: it leaves a mark.
    """

    def __init__(self, signals=()):
        self.signals = dict(signals)

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        line = json.dumps([batch_idx, list(data_batch.ids)])
        with open(os.path.join(runner.work_dir, f"ids_{runner.rank}.jsonl"), "a") as stream:
            stream.write(line + "\n")

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        done = batch_idx + 1
        mark = os.path.join(runner.work_dir, f"signal_{done}")
        if done in self.signals and runner.rank == 0 and not os.path.exists(mark):
            open(mark, "w").close()
            os.kill(os.getpid(), getattr(signal, self.signals[done]))


def config(**changes):
    """A config of 4 steps an epoch; `changes` are `section__key=value`."""
    tree = {
        "model": {"type": pretrainer, "encoders": {"wave": {"type": WaveEncoder}}},
        "data": {"train": {"type": Waves}, "transforms": [{"type": Jitter}]},
        "loader": {"batch_size": 8},
        "optimizer": {"type": torch.optim.AdamW, "lr": 1e-2, "groups": {"*.bias": {"lr": 5e-3}}},
        "train": {"epochs": 3, "checkpoint_every": 2, "ema": 0.9, "clip_norm": 1.0},
        "seed": 3,
        "hooks": [{"type": Trace}],
    }
    for path, value in changes.items():
        *above, last = path.split("__")
        node = tree
        for key in above:
            node = node.setdefault(key, {})
        node[last] = value
    return tree
