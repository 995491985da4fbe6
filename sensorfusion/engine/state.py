"""All that a run has to remember, to tensors and JSON and back."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sensorfusion.engine import distributed
from sensorfusion.engine.accumulate import random_state, set_random_state
from sensorfusion.errors import CheckpointError

Tensors = dict[str, Tensor]


def model_tensors(model: nn.Module) -> Tensors:
    """`model/<name>` for parameters and buffers, the terms' state included."""
    return {f"model/{name}": value for name, value in model.state_dict().items()}


def optimizer_state(optimizer: Optimizer) -> tuple[Tensors, dict[str, Any]]:
    """`optimizer/<parameter>/<quantity>`, and by the same names what is not a tensor."""
    names = [name for group in optimizer.param_groups for name in group["names"]]
    tensors: Tensors = {}
    numbers: dict[str, Any] = {}
    for position, entries in optimizer.state_dict()["state"].items():
        for key, value in entries.items():
            path = f"optimizer/{names[position]}/{key}"
            if isinstance(value, Tensor):
                tensors[path] = value
            else:
                numbers[path] = value
    return tensors, numbers


def restore_optimizer(
    optimizer: Optimizer, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]
) -> None:
    """Load what `optimizer_state` gave; rates and other settings stay the config's."""
    names = [name for group in optimizer.param_groups for name in group["names"]]
    position = {name: i for i, name in enumerate(names)}
    state: dict[int, dict[str, Any]] = {}
    for path, value in [*tensors.items(), *numbers.items()]:
        kind, _, rest = path.partition("/")
        name, _, key = rest.rpartition("/")
        if kind != "optimizer":
            continue
        if name not in position:
            raise CheckpointError(f"optimiser state of {name!r}, which the model does not train")
        state.setdefault(position[name], {})[key] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def restore_model(model: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Load a model's tensors; all must be there and fit.

    Raises:
        CheckpointError: naming tensors that are missing, left over, or of another shape.
    """
    own = model.state_dict()
    problems = [f"{name} is missing" for name in own if name not in tensors]
    problems += [f"{name} is not part of the model" for name in tensors if name not in own]
    problems += [
        f"{name} has shape {tuple(tensors[name].shape)}, the model's is {tuple(own[name].shape)}"
        for name in own
        if name in tensors and tensors[name].shape != own[name].shape
    ]
    if problems:
        raise CheckpointError(
            f"weights of another architecture: {'; '.join(problems[:5])}"
            + (f"; and {len(problems) - 5} more" if len(problems) > 5 else ""),
            where=where,
            remedy="use the config that the weights were trained with",
        )
    model.load_state_dict(dict(tensors))


def below(prefix: str, tensors: Mapping[str, Tensor]) -> Tensors:
    """The tensors whose names begin with `prefix`, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def random_tensors() -> Tensors:
    """`random/<rank>/<generator>` of all ranks: torch, numpy and Python."""
    states = random_state()
    own = {"torch": states[0]} | ({"cuda": states[1]} if len(states) > 1 else {})
    legacy: Any = np.random.get_state()  # noqa: NPY002 (to save it)
    own["numpy"] = torch.tensor([*legacy[1].tolist(), legacy[2], legacy[3]])
    version, numbers, spare = random.getstate()
    own["python"] = torch.tensor([version, *numbers])
    known = float("nan") if spare is None else spare
    own["gauss"] = torch.tensor([legacy[4], known], dtype=torch.float64)
    rows = {name: distributed.gather(value) for name, value in own.items()}
    return {
        f"random/{rank}/{name}": row for name, all_ in rows.items() for rank, row in enumerate(all_)
    }


def restore_random(tensors: Mapping[str, Tensor]) -> None:
    """Set this rank's generators from `random_tensors`."""
    own = below(f"random/{distributed.rank()}/", tensors)
    set_random_state([own["torch"], *([own["cuda"]] if "cuda" in own else [])])
    *keys, place, has_gauss = own["numpy"].tolist()
    gauss, spare = own["gauss"].tolist()
    state = ("MT19937", np.array(keys, dtype=np.uint32), place, has_gauss, gauss)
    np.random.set_state(state)  # noqa: NPY002 (to restore it)
    version, *numbers = own["python"].tolist()
    random.setstate((version, tuple(numbers), None if spare != spare else spare))


def seed_all(*entropy: int) -> None:
    """Seed torch, numpy and Python from several numbers."""
    words = np.random.SeedSequence(entropy).generate_state(3)
    torch.manual_seed(int(words[0]))
    np.random.seed(words[1])  # noqa: NPY002 (models of others may use it)
    random.seed(int(words[2]))
