"""The protocols by name: frozen features of a split in, named scores out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from sensorfusion.errors import ConfigError
from sensorfusion.evaluation.confusion import Confusion
from sensorfusion.evaluation.embed import Embeddings
from sensorfusion.evaluation.knn import knn_predict
from sensorfusion.evaluation.label_fractions import FRACTIONS, nested_subsets
from sensorfusion.evaluation.probe import (
    FUSION,
    LINEAR,
    SINGLE,
    ProbeSettings,
    require_known_classes,
    train_probe,
)
from sensorfusion.evaluation.retrieval import Ties, fit_alignment, rank_dispersion, retrieve


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that changes a protocol's result; results keep it.

    Args:
        label: what is predicted. key: what splits go by.
        linear, fusion: the probes. single: the fusion probe that is tested with one sensor
            present. supervised: budget of the supervised floor.
        k, temperature: of the nearest-neighbour vote.
        fractions: of the labels. ties: between equal similarities in retrieval.
        copies: augmented copies of the training inputs that probes draw from.
    """

    label: str = "action"
    key: str = "subject"
    linear: ProbeSettings = LINEAR
    fusion: ProbeSettings = FUSION
    single: ProbeSettings = SINGLE
    supervised: ProbeSettings = FUSION
    k: int = 20
    temperature: float = 0.07
    fractions: tuple[float, ...] = FRACTIONS
    ties: Ties = "expected"
    copies: int = 0

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "fractions": list(self.fractions)}


@dataclass(frozen=True)
class Parts:
    """Embeddings of one split.

    Args:
        train: the training set, then its augmented copies. validation: empty tuple or one.
        test: the test set. projected: the test set in the space in which the objective
            compares sensors, where the run has projection heads.
    """

    train: tuple[Embeddings, ...]
    test: Embeddings
    validation: Embeddings | None = None
    projected: Embeddings | None = None


@dataclass(frozen=True)
class Score:
    """One measurement.

    Args:
        protocol: e.g. "fusion", "fraction 1 %", "retrieval imu -> skeleton (aligned)".
        metrics: by name. rows: the test samples it is made of, int64 [n].
        values: what each of them contributes to the first metric, float64 [n].
        predictions: their predicted labels, for classification.
    """

    protocol: str
    metrics: Mapping[str, float]
    rows: Tensor
    values: Tensor
    predictions: Tensor | None = None


def classified(protocol: str, test: Embeddings, predictions: Tensor, label: str) -> Score:
    """Accuracy and macro F1 of predictions for all test samples."""
    labels = test.label(label)
    confusion = Confusion.of(labels, predictions)
    metrics = {"accuracy": confusion.accuracy, "macro-F1": confusion.macro_f1}
    right = (labels == predictions).double()
    return Score(protocol, metrics, torch.arange(len(test)), right, predictions)


def linear(parts: Parts, settings: Settings, seed: int) -> Iterator[Score]:
    """Linear probe on the joined features of all sensors."""
    yield _probe("linear", parts, settings.linear, settings.label, seed)


def fusion(parts: Parts, settings: Settings, seed: int) -> Iterator[Score]:
    """Two-layer fusion probe on all sensors."""
    yield _probe("fusion", parts, settings.fusion, settings.label, seed)


def knn(parts: Parts, settings: Settings, seed: int) -> Iterator[Score]:
    """Nearest neighbours, by the mean cosine over sensors; no randomness."""
    predictions = knn_predict(
        parts.train[0],
        parts.test,
        label=settings.label,
        k=settings.k,
        temperature=settings.temperature,
    )
    yield classified("knn", parts.test, predictions, settings.label)


def fractions(parts: Parts, settings: Settings, seed: int) -> Iterator[Score]:
    """Fusion probe on nested fractions of the labels; the seed also draws the subset."""
    labels = parts.train[0].label(settings.label)
    for fraction, rows in nested_subsets(labels, settings.fractions, seed=seed).items():
        few = tuple(copy.select(rows) for copy in parts.train)
        subset = Parts(few, parts.test, parts.validation)
        yield _probe(fraction_name(fraction), subset, settings.fusion, settings.label, seed)


def single_sensor(parts: Parts, settings: Settings, seed: int) -> Iterator[Score]:
    """One sensor present at the test, and of three or more all but one.

    "only S", "without S": a fusion probe trained on all sensors. "alone S": one trained on S
    as well.
    """
    probe = train_probe(
        parts.train,
        settings.single,
        label=settings.label,
        validation=parts.validation,
        seed=seed,
    )
    require_known_classes(probe.classes, parts.test.label(settings.label), "the test set")
    for sensor in parts.test.sensors:
        predictions = probe.predict(parts.test.only(sensor))
        yield classified(f"only {sensor}", parts.test, predictions, settings.label)
    for sensor in parts.test.sensors if len(parts.test.sensors) > 2 else ():
        others = [name for name in parts.test.sensors if name != sensor]
        predictions = probe.predict(parts.test.only(*others))
        yield classified(f"without {sensor}", parts.test, predictions, settings.label)
    for sensor in parts.test.sensors:
        alone = Parts(
            tuple(copy.keep(sensor) for copy in parts.train),
            parts.test.keep(sensor),
            None if parts.validation is None else parts.validation.keep(sensor),
        )
        yield _probe(f"alone {sensor}", alone, settings.fusion, settings.label, seed)


def retrieval(parts: Parts, settings: Settings, seed: int) -> Iterator[Score]:
    """Each ordered pair of sensors, and rank dispersion where there are three or more.

    "(aligned)": features brought together by canonical correlations of the training set, which
    exists for every encoder; "(heads)": in the objective's own space, where the run has one.
    """
    for query, gallery in itertools.permutations(parts.test.sensors, 2):
        aligned = fit_alignment(parts.train[0], query, gallery)(parts.test)
        yield _retrieval("aligned", aligned, query, gallery, settings.ties)
        if parts.projected is not None:
            yield _retrieval("heads", parts.projected, query, gallery, settings.ties)
    if parts.projected is not None and len(parts.test.sensors) > 2:
        for target in parts.test.sensors:
            yield _dispersion(parts.projected, target, settings.ties)


Protocol = Callable[[Parts, Settings, int], Iterator[Score]]
PROTOCOLS: dict[str, Protocol] = {
    "linear": linear,
    "fusion": fusion,
    "knn": knn,
    "retrieval": retrieval,
    "fractions": fractions,
    "single-sensor": single_sensor,
}


def protocol(name: str) -> Protocol:
    """The protocol of a name; raises `ConfigError` for an unknown one."""
    if name not in PROTOCOLS:
        raise ConfigError(f"unknown protocol {name!r}", remedy=f"use one of {sorted(PROTOCOLS)}")
    return PROTOCOLS[name]


def fraction_name(fraction: float) -> str:
    """E.g. "fraction 1 %"."""
    return f"fraction {100 * fraction:g} %"


def _probe(name: str, parts: Parts, settings: ProbeSettings, label: str, seed: int) -> Score:
    probe = train_probe(parts.train, settings, label=label, validation=parts.validation, seed=seed)
    require_known_classes(probe.classes, parts.test.label(label), "the test set")
    return classified(name, parts.test, probe.predict(parts.test), label)


def _retrieval(space: str, data: Embeddings, query: str, gallery: str, ties: Ties) -> Score:
    found = retrieve(data, query, gallery, ties=ties)
    metrics = {f"R@{k}": value for k, value in found.recall.items()}
    metrics |= {"median rank": found.median_rank, "candidates": float(found.candidates)}
    name = f"retrieval {query} -> {gallery} ({space})"
    return Score(name, metrics, found.rows, found.hits)


def _dispersion(data: Embeddings, target: str, ties: Ties) -> Score:
    others = [name for name in data.sensors if name != target]
    found = rank_dispersion(data, target, others, ties=ties)
    metrics = {"rank variance": found.variance, "rank deviation": found.standard_deviation}
    none = torch.zeros(0)
    return Score(f"rank dispersion of {target}", metrics, none.long(), none.double())
