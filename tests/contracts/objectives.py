"""One setting of every term, and the small moments on which the contract is checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from sensorfusion.objectives.alignment_uniformity import AlignmentUniformity
from sensorfusion.objectives.balanced import Balanced
from sensorfusion.objectives.codebook import Codebook, SharedCodebook
from sensorfusion.objectives.coding_rate import CodingRate
from sensorfusion.objectives.contrast import Contrast
from sensorfusion.objectives.federated import PublicDistillation
from sensorfusion.objectives.late_interaction import LateInteraction
from sensorfusion.objectives.prototypes import Prototypes
from sensorfusion.objectives.symile import Symile
from sensorfusion.objectives.temperature import Temperature
from sensorfusion.objectives.term import Term
from sensorfusion.objectives.token_alignment import TokenAlignment
from sensorfusion.objectives.variance_covariance import VarianceCovariance
from sensorfusion.sample import Correspondence, Features

WIDTH = 6
TOKENS = 3  # at most, of an id in a column
COLUMNS = ("camera", "lidar", "imu", "teacher.camera", "teacher.lidar")

Arrays = Mapping[str, Tensor]


@dataclass(frozen=True)
class Setting:
    """A way to use a term.

    Args:
        build: makes it. differentiable: its losses have no part that is held constant in the
            gradient, so that finite differences apply. symmetric: the order of ids has no
            influence on the value.
    """

    build: Callable[[], Term]
    differentiable: bool = True
    symmetric: bool = True


def _public() -> Term:
    term = PublicDistillation(16, WIDTH, ("camera", "imu"))
    generator = torch.Generator().manual_seed(7)
    for column in term.columns:
        term.set_table(column, torch.randn(16, WIDTH, generator=generator))
    return term


SETTINGS: dict[str, Setting] = {
    "AlignmentUniformity": Setting(
        lambda: AlignmentUniformity(cross_uniformity=0.5, cyclic=0.5, chunk=10)
    ),
    "VarianceCovariance": Setting(lambda: VarianceCovariance(target=3.0)),
    "CodingRate": Setting(lambda: CodingRate(expand="mean")),
    "Prototypes": Setting(
        lambda: Prototypes(
            5, WIDTH, epsilon=0.5, frozen_steps=1, queue=7, queue_from=1, columns=COLUMNS[:3]
        ),
        differentiable=False,
    ),
    "SharedCodebook": Setting(
        lambda: SharedCodebook(AlignmentUniformity(), Codebook(9, WIDTH, temperature=0.3))
    ),
    "TokenAlignment": Setting(lambda: TokenAlignment(0.3, chunk=40)),
    "LateInteraction": Setting(lambda: LateInteraction(Temperature(0.3, learned=True), chunk=40)),
    "PublicDistillation": Setting(_public),
    "Contrast": Setting(lambda: Contrast(temperature=Temperature(0.3, learned=True))),
    "Symile": Setting(lambda: Symile(temperature=0.3, partners=None)),
    "Balanced": Setting(
        lambda: Balanced(VarianceCovariance(), Contrast(temperature=0.3)), differentiable=False
    ),
}


def moments(ids: int = 6, *, seed: int = 0) -> dict[str, Tensor]:
    """Random moments: per column token blocks [I, TOKENS, D] and how many of them there are."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    arrays: dict[str, Tensor] = {}
    for name in COLUMNS:
        arrays[f"tokens {name}"] = normal(ids, TOKENS, WIDTH)
        arrays[f"count {name}"] = torch.randint(0, TOKENS + 1, (ids,), generator=generator)
    arrays["count camera"][: ids // 2] = 2
    arrays["count lidar"][: ids // 2] = 1
    arrays["count imu"][: ids // 2] = 3
    arrays["trust"] = torch.rand(ids, generator=generator, dtype=torch.float64)
    arrays["index"] = torch.randperm(16, generator=generator)[:ids]
    return arrays


Moments = tuple[dict[str, Features], Correspondence, dict[str, Tensor]]


def lay_out(
    arrays: Arrays, dtype: torch.dtype = torch.float64
) -> tuple[Moments, dict[str, Tensor]]:
    """What a term is given, and the leaves [I, TOKENS, D] by column.

    A sensor that no moment has is a stream of no tokens that needs no gradient, as in the model.
    """
    size = len(arrays["trust"])
    features, ids, tokens, leaves = {}, [], [], {}
    for name in COLUMNS:
        count = arrays[f"count {name}"]
        present = torch.arange(TOKENS) < count[:, None]
        leaf = arrays[f"tokens {name}"].to(dtype).clone().requires_grad_(bool(present.any()))
        item, _ = present.nonzero(as_tuple=True)
        valid = torch.ones_like(item, dtype=torch.bool)
        features[name] = Features(leaf[present], item, torch.zeros_like(item), size, valid)
        ids.append(item)
        tokens.append(torch.arange(len(item)))
        leaves[name] = leaf
    correspondence = Correspondence(
        COLUMNS, tuple(ids), tuple(tokens), size, torch.arange(size), arrays["trust"]
    )
    targets = {"index": arrays["index"], "keys.subject": arrays["index"] % 3}
    return (features, correspondence, targets), leaves


def select(arrays: Arrays, ids: Tensor | slice) -> dict[str, Tensor]:
    """The moments of some ids."""
    return {name: values[ids] for name, values in arrays.items()}


def without(arrays: Arrays, column: str) -> dict[str, Tensor]:
    """The moments with a sensor missing everywhere."""
    return {**arrays, f"count {column}": torch.zeros_like(arrays[f"count {column}"])}
