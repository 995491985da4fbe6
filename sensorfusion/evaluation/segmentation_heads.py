"""Linear heads of segmentation on disk, so that a page shows what was measured."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from sensorfusion.checkpoint import read_folder, write_folder
from sensorfusion.errors import CheckpointError
from sensorfusion.evaluation.segmentation_results import PRETRAINED, Measurement

FOLDER = "heads"
DOCUMENT = "head"


def save_head(results: Path, key: str, head: nn.Linear) -> None:
    """Write the head of a measurement beside its results.

    Args:
        results: the folder of the results. key: of the measurement.

    Raises:
        CheckpointError: when it cannot be written.
    """
    tensors = {name: tensor.detach() for name, tensor in head.state_dict().items()}
    write_folder(results / FOLDER / key, tensors, {"kind": "linear head"}, name=DOCUMENT)


def load_head(results: Path, key: str) -> nn.Linear | None:
    """The head [D] -> [C] of a measurement; None when none was kept.

    Raises:
        CheckpointError: when it is damaged.
    """
    path = results / FOLDER / key
    if not path.is_dir():
        return None
    tensors, _ = read_folder(path, name=DOCUMENT)
    if set(tensors) != {"weight", "bias"} or tensors["weight"].ndim != 2:
        raise CheckpointError(
            f"tensors {sorted(tensors)}, expected the weight and bias of a linear head",
            where=str(path),
            remedy="delete the folder; the page then trains a head of its own",
        )
    classes, width = tensors["weight"].shape
    head = nn.Linear(width, classes)
    head.load_state_dict(tensors)
    return head.requires_grad_(False)


def linear_probe(measured: list[Measurement], checkpoint_hash: str) -> Measurement | None:
    """The first linear probe of the encoders with these weights."""
    of_run = (
        m
        for m in measured
        if (m.start, m.protocol, m.checkpoint_hash) == (PRETRAINED, "linear", checkpoint_hash)
    )
    return next(of_run, None)
