"""Gradients of points and images are the same, to the bit, whenever two threads compute them.

Where an operation allows it, torch adds gradients in the order in which its threads meet, and a
run that is continued would end differently. This recipe would show it: its tensors are large
enough to be split, many points share a voxel, and many pixels a segment.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from sensorfusion.collate import collate
from sensorfusion.compiled import one_thread
from sensorfusion.engine.config import build
from sensorfusion.engine.recipe import read_recipe

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
SMALL = ("data.train.dataset.scenes=(0,)", "data.train.dataset.every=18.0", "data.train.workers=1")


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(
    ("config", "trained"),
    [
        ("quickstart", {"encoders.lidar", "heads.lidar", "heads.camera"}),
        ("quickstart_from_scratch", {"encoders.lidar", "encoders.camera", "heads.camera"}),
    ],
)
def test_gradients_repeat_bit_equal(config, trained) -> None:
    recipe = read_recipe(CONFIGS / f"{config}.py", SMALL)
    torch.manual_seed(0)
    with one_thread():  # of the kernels, which are tested on threads where they are
        data, model = build(recipe["data"]["train"]), build(recipe["model"]).train()
        batch = collate([data[index] for index in range(len(data))])
        several = [gradients(model, batch) for _ in range(5)]
    assert trained <= several[0].keys()
    for other in several[1:]:
        for name, values in several[0].items():
            assert torch.equal(values, other[name]), name


def gradients(model, batch) -> dict[str, torch.Tensor]:
    model.zero_grad()
    torch.stack(list(model(batch).values())).sum().backward()
    found: dict[str, list[torch.Tensor]] = {}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            found.setdefault(".".join(name.split(".")[:2]), []).append(parameter.grad.flatten())
    return {name: torch.cat(parts).clone() for name, parts in found.items()}
