"""Confusion matrix and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sensorfusion.errors import ConfigError, DataError


@dataclass(frozen=True)
class ClassScore:
    """Scores of one class: `support` is the number of its samples."""

    label: int
    name: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Confusion:
    """Counts of (true, predicted) pairs.

    Args:
        counts: int64 [C, C], row = true class, column = predicted class.
        labels: the C labels, ascending. names: their names.
    """

    counts: Tensor
    labels: tuple[int, ...]
    names: tuple[str, ...]

    @staticmethod
    def of(true_n: Tensor, predicted_n: Tensor, names: Sequence[str] | None = None) -> Confusion:
        """Count n >= 1 predictions.

        Args:
            names: name of label 0, 1, ...; None: the labels themselves.
        """
        if true_n.shape != predicted_n.shape or not len(true_n):
            raise DataError(
                f"{tuple(true_n.shape)} labels and {tuple(predicted_n.shape)} predictions",
                remedy="give one prediction for each of at least one label",
            )
        labels = torch.unique(torch.cat([true_n, predicted_n]))
        if names is not None and not 0 <= int(labels[0]) <= int(labels[-1]) < len(names):
            raise ConfigError(
                f"labels from {int(labels[0])} to {int(labels[-1])}, {len(names)} names",
                remedy="give one name per label, counted from 0",
            )
        size = len(labels)
        cells = torch.searchsorted(labels, true_n) * size + torch.searchsorted(labels, predicted_n)
        counts = torch.bincount(cells, minlength=size * size).reshape(size, size)
        known = tuple(labels.tolist())
        return Confusion(counts, known, tuple(names[c] if names else str(c) for c in known))

    @property
    def accuracy(self) -> float:
        """Share of right predictions."""
        return float(self.counts.diagonal().sum() / self.counts.sum())

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the classes that occur as truth or as prediction."""
        scores = self.per_class()
        return sum(score.f1 for score in scores) / len(scores)

    def per_class(self) -> tuple[ClassScore, ...]:
        """Precision, recall and F1 per class; 0 where a denominator is 0."""
        hits, true = self.counts.diagonal(), self.counts.sum(dim=1)
        predicted = self.counts.sum(dim=0)
        return tuple(
            ClassScore(
                label=label,
                name=name,
                precision=_ratio(hits[c], predicted[c]),
                recall=_ratio(hits[c], true[c]),
                f1=_ratio(2 * hits[c], true[c] + predicted[c]),
                support=int(true[c]),
            )
            for c, (label, name) in enumerate(zip(self.labels, self.names, strict=True))
        )

    def worst(self, limit: int = 10) -> tuple[tuple[str, str, int], ...]:
        """The most frequent errors: (true name, predicted name, count), most first."""
        errors = self.counts - self.counts.diagonal().diag()
        cells = [
            (self.names[t], self.names[p], int(errors[t, p])) for t, p in errors.nonzero().tolist()
        ]
        return tuple(sorted(cells, key=lambda cell: (-cell[2], cell[0], cell[1]))[:limit])

    def table(self) -> str:
        """The per-class scores as a Markdown table, lowest F1 first."""
        lines = ["| class | precision | recall | F1 | clips |", "|---|---|---|---|---|"]
        for score in sorted(self.per_class(), key=lambda s: (s.f1, s.name)):
            numbers = f"{score.precision:.3f} | {score.recall:.3f} | {score.f1:.3f}"
            lines.append(f"| {score.name} | {numbers} | {score.support} |")
        return "\n".join(lines)

    def draw(self, path: str | Path, title: str = "") -> None:
        """Write the matrix, each row as shares of its class, to an image file."""
        from matplotlib.figure import Figure

        size = 2.5 + 0.28 * len(self.labels)
        figure = Figure(figsize=(size, size), layout="constrained")
        axes = figure.add_subplot()
        shares = self.counts / self.counts.sum(dim=1, keepdim=True).clamp(min=1)
        axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1)
        for t, p in self.counts.nonzero().tolist():
            colour = "white" if shares[t, p] > 0.5 else "black"
            axes.text(
                p, t, str(int(self.counts[t, p])), ha="center", va="center", color=colour, size=6
            )
        ticks = range(len(self.labels))
        axes.set_xticks(ticks, self.names, rotation=90, size=6)
        axes.set_yticks(ticks, self.names, size=6)
        axes.set(xlabel="predicted", ylabel="true", title=title)
        figure.savefig(Path(path), dpi=150)


def _ratio(part: Tensor, whole: Tensor) -> float:
    return float(part / whole) if int(whole) else 0.0
