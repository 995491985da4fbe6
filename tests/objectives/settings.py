"""Every setting of the contrast terms, for tests that have to hold for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

from sensorfusion.objectives.contrast import ConnectivityWeights, Contrast
from sensorfusion.objectives.kernel import Hardness
from sensorfusion.objectives.layout import (
    Direction,
    OneToMany,
    each_against_all,
    joint,
    joint_pairs,
)
from sensorfusion.objectives.negatives import ByKey, Others, OwnMoment, Unconnected
from sensorfusion.objectives.positives import (
    MinedNeighbours,
    MomentumTargets,
    SameKey,
    SameMoment,
    SoftSimilarity,
    WeightedPair,
)
from sensorfusion.objectives.symile import Symile, random_permutations
from sensorfusion.objectives.temperature import Temperature
from sensorfusion.objectives.term import Term
from sensorfusion.sample import Correspondence, Features

STREAMS = ("imu", "skeleton", "camera")
TAUGHT = ("imu", "skeleton")
WIDTH = 8

teacher_keys = [
    Direction(("imu",), ("teacher.skeleton",), 0.5),
    Direction(("skeleton",), ("teacher.imu",), 0.5),
]

SETTINGS: dict[str, Callable[..., Term]] = {
    "clip": partial(Contrast, STREAMS),
    "clip_learned": partial(
        Contrast, STREAMS, temperature=Temperature(0.1, learned=True, bias=1.0)
    ),
    "siglip": partial(Contrast, STREAMS, link="sigmoid", temperature=0.2),
    "siglip_by_subject": partial(
        Contrast, STREAMS, link="sigmoid", negatives=Others(factors=(ByKey("keys.subject", 0.3),))
    ),
    "ntxent": partial(Contrast, STREAMS, layout=joint),
    "ntxent_pairs": partial(Contrast, STREAMS, layout=joint_pairs),
    "dcl": partial(Contrast, STREAMS, layout=joint, normaliser="none"),
    "dclw": partial(Contrast, STREAMS, normaliser="none", positives=WeightedPair()),
    "supcon": partial(Contrast, STREAMS, layout=joint, positives=SameKey("labels.action")),
    "supcon_in": partial(
        Contrast, STREAMS, layout=joint, reduce="in", positives=SameKey("labels.action", own=1.0)
    ),
    "mv_infonce": partial(Contrast, STREAMS, layout=joint, reduce="in", group="sum"),
    "mv_dhel": partial(
        Contrast,
        STREAMS,
        layout=joint,
        reduce="in",
        group="product",
        normaliser="none",
        negatives=Others("same"),
        positives=SameMoment(value=0.5),
    ),
    "hard": partial(Contrast, STREAMS, layout=joint, hardness=Hardness(1.0, 0.1)),
    "hard_detached": partial(Contrast, STREAMS, hardness=Hardness(2.0, 0.05, detach=True)),
    "hard_by_subject": partial(
        Contrast,
        STREAMS,
        hardness=Hardness(0.5, 0.0),
        negatives=Others(factors=(ByKey("keys.subject", 2.0, 0.5),)),
    ),
    "cmkm": partial(
        Contrast,
        TAUGHT,
        layout=each_against_all,
        reduce="in",
        intra_temperature=1.0,
        positives=MinedNeighbours(2, streams=TAUGHT),
        negatives=Others(intra=0.5, factors=(Unconnected(0.2, TAUGHT),)),
        row_weights=ConnectivityWeights(0.5, TAUGHT),
    ),
    "cmkm_symmetric": partial(
        Contrast,
        TAUGHT,
        layout=each_against_all,
        reduce="in",
        positives=MinedNeighbours(1, streams=TAUGHT, symmetric=True),
    ),
    "one_to_many": partial(Contrast, STREAMS, layout=OneToMany("camera")),
    "own": partial(Contrast, STREAMS, layout=OneToMany("camera"), normaliser="own"),
    "cwcl": partial(Contrast, STREAMS, positives=SoftSimilarity("teacher.imu")),
    "cwcl_attached": partial(
        Contrast, STREAMS, positives=SoftSimilarity("camera", detach=False, channels=2)
    ),
    "albef": partial(
        Contrast,
        layout=teacher_keys,
        positives=MomentumTargets(0.4, streams=TAUGHT),
        queue=6,
        queue_width=WIDTH,
    ),
    "moco": partial(Contrast, layout=teacher_keys, queue=6, queue_width=WIDTH),
    "own_moment": partial(
        Contrast,
        layout=[
            Direction(
                ("imu",),
                ("skeleton", "camera"),
                positives=SameMoment(streams=("skeleton",)),
                negatives=OwnMoment(("camera",)),
            )
        ],
    ),
    "token_level": partial(Contrast, STREAMS, negatives=Others(factors=(ByKey("item", 1.0, 0.0),))),
    "symile": partial(Symile, STREAMS),
    "symile_permuted": partial(Symile, STREAMS, partners=random_permutations),
    "symile_all": partial(Symile, STREAMS, partners=None),
}


def draw(size: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    """Embeddings [size, WIDTH] of all streams and teachers, correlated between streams."""
    generator = torch.Generator().manual_seed(seed)
    common = torch.randn(size, WIDTH, generator=generator, dtype=torch.float64)
    columns = {}
    for name in (*STREAMS, *(f"teacher.{name}" for name in TAUGHT)):
        noise = torch.randn(size, WIDTH, generator=generator, dtype=torch.float64)
        columns[name] = (common + noise).to(dtype)
    return columns


def absences(size: int, share: float = 0.3, seed: int = 0) -> dict[str, Tensor]:
    """Present rows of every column, some missing at random."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(size, generator=generator) >= share
        for name in (*STREAMS, *(f"teacher.{name}" for name in TAUGHT))
    }


def inputs(
    columns: Mapping[str, Tensor],
    present: Mapping[str, Tensor] | None = None,
    first: int = 0,
) -> tuple[dict[str, Features], Correspondence, dict[str, Tensor]]:
    """Features, correspondence and targets of moments first .. first + size - 1."""
    size = len(next(iter(columns.values())))
    index = torch.arange(size)
    features, ids = {}, []
    for name, rows in columns.items():
        kept = index if present is None else index[present[name]]
        valid = torch.ones(len(kept), dtype=torch.bool)
        features[name] = Features(rows[kept], kept, torch.zeros_like(kept), size, valid)
        ids.append(kept)
    tokens = tuple(torch.arange(len(kept)) for kept in ids)
    trust = torch.linspace(0.5, 1.5, 64, dtype=torch.float64)[first : first + size]
    correspondence = Correspondence(tuple(columns), tuple(ids), tokens, size, index, trust)
    number = index + first
    targets = {"index": number, "keys.subject": number % 3, "labels.action": number % 4}
    return features, correspondence, targets


def loss_and_gradients(
    term: Term,
    columns: Mapping[str, Tensor],
    present: Mapping[str, Tensor] | None = None,
    first: int = 0,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss, and its gradients with respect to columns and the term's parameters."""
    leaves = {name: rows.clone().requires_grad_() for name, rows in columns.items()}
    loss = torch.stack(list(term(*inputs(leaves, present, first)).values())).sum()
    loss.backward()
    found = {n: torch.zeros_like(x) if x.grad is None else x.grad for n, x in leaves.items()}
    for name, parameter in term.named_parameters():
        found[name] = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        parameter.grad = None
    return loss.detach(), found


def assert_equal(one: object, other: object, tolerance: float) -> None:
    (loss, gradients), (expected_loss, expected) = one, other  # type: ignore[misc]
    torch.testing.assert_close(loss, expected_loss, rtol=tolerance, atol=tolerance)
    assert gradients.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(
            gradients[name],
            expected[name],
            rtol=tolerance,
            atol=tolerance,
            msg=lambda m, n=name: f"{n}: {m}",
        )
