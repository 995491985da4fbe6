"""Probes: small classifiers on frozen features, for any set of sensors, some missing."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sensorfusion.encoders.norms import PresentBatchNorm1d
from sensorfusion.errors import ConfigError, DataError
from sensorfusion.evaluation.embed import Embeddings


@dataclass(frozen=True, kw_only=True)
class ProbeSettings:
    """How a probe is built and trained; everything that changes its result.

    The defaults are the two-layer fusion probe of CMC-CMKM (Brinzea et al. 2022, "Contrastive
    learning with cross-modal knowledge mining"): per sensor Linear -> 256, batch norm, ReLU;
    concatenation; linear classifier; Adam 1e-3, batches of 64, 100 epochs.

    Args:
        hidden: width of the layer per sensor; 0: none, a linear probe.
        weight_decay: decoupled from the gradient (AdamW).
        warmup_epochs: the learning rate grows linearly over so many epochs first.
        input_dropout: of features. dropout: before the classifier.
        sensor_dropout: probability with which each sensor of a training sample is hidden
            (never all of them), for tests with sensors missing.
        missing: what stands for a missing sensor before the classifier.
        standardise: centre and scale each feature by the present rows of the training set.
            Without it (as published) features that vary little around a large mean outrun the
            running mean of the batch norm, and a good probe may fail in evaluation mode.
        selection: "last" epoch, or that of the highest "validation" accuracy (ties: lowest
            loss, then the earliest).
        schedule: learning rate over the epochs.
    """

    hidden: int = 256
    epochs: int = 100
    batch_size: int = 64
    learning_rate: float = 1e-3
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_epochs: int = 0
    weight_decay: float = 0.0
    input_dropout: float = 0.0
    dropout: float = 0.0
    label_smoothing: float = 0.0
    standardise: bool = False
    sensor_dropout: float = 0.0
    missing: Literal["zero", "token"] = "zero"
    selection: Literal["last", "validation"] = "last"

    def replace(self, **changes: Any) -> ProbeSettings:
        """A copy with some settings changed."""
        return dataclasses.replace(self, **changes)


FUSION = ProbeSettings()
LINEAR = ProbeSettings(hidden=0, standardise=True)
SINGLE = ProbeSettings(sensor_dropout=0.3, standardise=True)


class FusionClassifier(nn.Module):
    """Per-sensor layers, concatenation, linear classifier.

    Args:
        widths: sensor -> D. classes: C. settings: see `ProbeSettings`.
    """

    def __init__(self, widths: dict[str, int], classes: int, settings: ProbeSettings) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(
            {name: _sensor_layer(width, settings.hidden) for name, width in widths.items()}
        )
        joined = {name: settings.hidden or width for name, width in widths.items()}
        learned = settings.missing == "token"
        self.tokens = nn.ParameterDict(
            {n: nn.Parameter(torch.zeros(w), requires_grad=learned) for n, w in joined.items()}
        )
        self.dropout = nn.Dropout(settings.dropout)
        self.input_dropout = nn.Dropout(settings.input_dropout)
        self.classifier = nn.Linear(sum(joined.values()), classes)

    def forward(self, features: dict[str, Tensor], present: dict[str, Tensor]) -> Tensor:
        """Features {sensor: [n, D]} and masks {sensor: [n]} to logits [n, C]."""
        joined = [self._sensor(name, features[name], present[name]) for name in self.layers]
        logits: Tensor = self.classifier(self.dropout(torch.cat(joined, dim=1)))
        return logits

    def _sensor(self, name: str, features_nD: Tensor, present_n: Tensor) -> Tensor:
        if bool(present_n.all()):
            full: Tensor = self.layers[name](self.input_dropout(features_nD))
            return full
        token = self.tokens[name]
        # Batch statistics see the present rows only.
        rows = present_n.nonzero()[:, 0]
        out: Tensor = token.expand(len(present_n), len(token))
        return (
            out.index_copy(0, rows, self.layers[name](self.input_dropout(features_nD[rows])))
            if len(rows)
            else out
        )


@dataclass(frozen=True)
class Probe:
    """A trained probe.

    Args:
        classifier: in evaluation mode. classes: int64 [C], the label of each logit.
        centre, scale: sensor -> [D], the standardisation (0 and 1 without).
        epoch: the epoch whose weights were kept, counted from 1.
        label: the label that it predicts.
    """

    classifier: FusionClassifier
    classes: Tensor
    centre: dict[str, Tensor]
    scale: dict[str, Tensor]
    epoch: int
    label: str

    @torch.no_grad()
    def logits(self, data: Embeddings) -> Tensor:
        """Logits [n, C]; a sensor that `data` lacks counts as missing in every sample."""
        features, present = self._inputs(data)
        out: Tensor = self.classifier(features, present)
        return out

    def predict(self, data: Embeddings) -> Tensor:
        """Predicted labels int64 [n]."""
        return self.classes[self.logits(data).argmax(dim=1)]

    def accuracy(self, data: Embeddings) -> float:
        """Share of samples whose label is predicted."""
        return float((self.predict(data) == data.label(self.label)).double().mean())

    def _inputs(self, data: Embeddings) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        unknown = set(data.sensors) - set(self.centre)
        if unknown:
            raise ConfigError(
                f"the probe was not trained with sensor {sorted(unknown)}",
                remedy=f"it knows {sorted(self.centre)}: keep those, or train it with all",
            )
        features, present = {}, {}
        for name, centre in self.centre.items():
            if name in data.features:
                _require_width(name, data.features[name], len(centre))
                features[name] = (data.features[name] - centre) / self.scale[name]
                present[name] = data.present[name]
            else:
                features[name] = torch.zeros(len(data), len(centre))
                present[name] = torch.zeros(len(data), dtype=torch.bool)
        return features, present


def train_probe(
    train: Embeddings | Sequence[Embeddings],
    settings: ProbeSettings = FUSION,
    *,
    label: str = "action",
    validation: Embeddings | None = None,
    seed: int = 0,
) -> Probe:
    """Train a probe; the same seed gives the same probe, and no outer random state moves.

    Args:
        train: the training set, or copies of it (the plain one first, augmented ones after):
            each epoch then takes every sample from a copy drawn at random.
        validation: needed for `selection="validation"`; otherwise not looked at.

    Raises:
        DataError: no training sample, or a validation class that training lacks.
        ConfigError: settings that exclude each other, copies that differ in their samples.
    """
    copies = (train,) if isinstance(train, Embeddings) else tuple(train)
    _check(copies, settings, validation)
    classes, targets = torch.unique(copies[0].label(label), return_inverse=True)
    if validation is not None:
        require_known_classes(classes, validation.label(label), "the validation set")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        centre, scale = _standardisation(copies[0], settings.standardise)
        widths = {name: value.shape[1] for name, value in copies[0].features.items()}
        classifier = FusionClassifier(widths, len(classes), settings)
        probe = Probe(classifier, classes, centre, scale, settings.epochs, label)
        inputs = [probe._inputs(each) for each in copies]
        return _fit(probe, inputs, targets, settings, validation)


def require_known_classes(classes: Tensor, labels: Tensor, where: str) -> None:
    """Raise `DataError` when a label is not among the classes of the training set."""
    missing = sorted(set(labels.tolist()) - set(classes.tolist()))
    if missing:
        raise DataError(
            f"classes {missing} do not occur in the training set",
            where=where,
            remedy="train on subjects that have every class, or leave these classes out",
        )


def hide_sensors(present_nS: Tensor, probability: float) -> Tensor:
    """Hide each sensor with a probability, keeping one of the present sensors of each row.

    Draws from torch's current random state. Args: present_nS: bool [n, S]. Returns: bool [n, S].
    """
    noise = torch.rand(present_nS.shape)
    kept = present_nS & (noise >= probability)
    # Where all were hidden, the one with the largest draw stays.
    last = torch.where(present_nS, noise, -1.0).argmax(dim=1)
    lost = ~kept.any(dim=1) & present_nS.any(dim=1)
    rows = lost.nonzero()[:, 0]
    kept[rows, last[rows]] = True
    return kept


Inputs = tuple[dict[str, Tensor], dict[str, Tensor]]


def _fit(
    probe: Probe,
    copies: Sequence[Inputs],
    targets: Tensor,
    settings: ProbeSettings,
    validation: Embeddings | None,
) -> Probe:
    classifier = probe.classifier
    trained = [p for p in classifier.parameters() if p.requires_grad]
    optimiser = adam(trained, settings)
    schedule = learning_rates(optimiser, settings)
    best: tuple[float, float] = (-1.0, 0.0)
    state, epoch = classifier.state_dict(), settings.epochs
    for number in range(1, settings.epochs + 1):
        classifier.train()
        for rows in torch.split(torch.randperm(len(targets)), settings.batch_size):
            features, present = _minibatch(copies, rows, settings)
            loss = nn.functional.cross_entropy(
                classifier(features, present),
                targets[rows],
                label_smoothing=settings.label_smoothing,
            )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        schedule.step()
        if settings.selection == "validation" and validation is not None:
            score = _score(probe, validation)
            if score > best:
                best, epoch = score, number
                state = copy.deepcopy(classifier.state_dict())
    classifier.load_state_dict(state)
    classifier.eval()
    return dataclasses.replace(probe, epoch=epoch)


def adam(parameters: Sequence[nn.Parameter], settings: ProbeSettings) -> torch.optim.Optimizer:
    """The optimiser that the settings name; without weight decay AdamW is Adam."""
    # Fused: half the time of a probe on wide features goes into the update otherwise.
    return torch.optim.AdamW(
        parameters, settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )


def learning_rates(
    optimiser: torch.optim.Optimizer, settings: ProbeSettings
) -> torch.optim.lr_scheduler.LRScheduler:
    """The schedule that the settings name, stepped once an epoch."""
    warmup = settings.warmup_epochs

    def factor(epoch: int) -> float:
        if epoch < warmup:
            return (epoch + 1) / (warmup + 1)
        if settings.schedule == "constant":
            return 1.0
        done = (epoch - warmup) / max(1, settings.epochs - warmup)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    return torch.optim.lr_scheduler.LambdaLR(optimiser, factor)


def _minibatch(copies: Sequence[Inputs], rows: Tensor, settings: ProbeSettings) -> Inputs:
    names = list(copies[0][0])
    if len(copies) == 1:
        features = {name: copies[0][0][name][rows] for name in names}
        present = {name: copies[0][1][name][rows] for name in names}
    else:
        # One copy for all sensors of a sample: its augmentations belong together.
        drawn = torch.randint(len(copies), (len(rows),))
        pairs = list(zip(drawn.tolist(), rows.tolist(), strict=True))
        features = {n: torch.stack([copies[c][0][n][r] for c, r in pairs]) for n in names}
        present = {n: torch.stack([copies[c][1][n][r] for c, r in pairs]) for n in names}
    if settings.sensor_dropout:
        masks = torch.stack([present[name] for name in names], dim=1)
        kept = hide_sensors(masks, settings.sensor_dropout)
        present = {name: kept[:, s] for s, name in enumerate(names)}
    return features, present


def _score(probe: Probe, data: Embeddings) -> tuple[float, float]:
    probe.classifier.eval()
    logits = probe.logits(data)
    targets = torch.searchsorted(probe.classes, data.label(probe.label))
    loss = nn.functional.cross_entropy(logits, targets)
    return float((logits.argmax(1) == targets).double().mean()), -float(loss)


def _standardisation(data: Embeddings, wanted: bool) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    centre, scale = {}, {}
    for name, values in data.features.items():
        rows = values[data.present[name]]
        centre[name], scale[name] = (
            values.new_zeros(values.shape[1]),
            values.new_ones(values.shape[1]),
        )
        if wanted and len(rows) > 1:
            deviation = rows.std(dim=0)
            centre[name] = rows.mean(dim=0)
            # A constant feature carries nothing; dividing by its rounding noise would.
            constant = deviation <= 1e-6 * rows.abs().amax(dim=0).clamp(min=1e-30)
            scale[name] = torch.where(constant, 1.0, deviation)
    return centre, scale


def _sensor_layer(width: int, hidden: int) -> nn.Module:
    if not hidden:
        return nn.Identity()
    return nn.Sequential(nn.Linear(width, hidden), PresentBatchNorm1d(hidden), nn.ReLU())


def _check(
    copies: Sequence[Embeddings], settings: ProbeSettings, validation: Embeddings | None
) -> None:
    if not copies or not len(copies[0]):
        raise DataError(
            "the training set is empty", remedy="check the subjects and the label fraction"
        )
    if any(each.ids != copies[0].ids for each in copies):
        raise ConfigError("the augmented copies hold other samples than the plain training set")
    if settings.selection == "validation" and (validation is None or not len(validation)):
        raise ConfigError(
            'selection="validation" without a validation set',
            remedy='give one, or use selection="last"',
        )


def _require_width(sensor: str, features: Tensor, width: int) -> None:
    if features.shape[1] != width:
        raise ConfigError(
            f"features of width {features.shape[1]}, the probe was trained on {width}",
            where=f"sensor {sensor!r}",
            remedy="use the encoder that the probe was trained with",
        )
