"""Gradient accumulation that is exact for contrastive losses, by caching features.

A contrastive loss compares all samples of a step, so it isn't a sum over microbatches. Encode
every microbatch without gradient, join the features, differentiate the losses of the whole with
respect to them, then encode every microbatch again, now with gradient, and continue the backward
pass from there. Gao et al. 2021, "Scaling deep contrastive learning batch size under memory
limited setup", section 3.

Batch norms see microbatches, so a model with them is trained on other statistics than without
accumulation; their running statistics are moved once per microbatch.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from sensorfusion.model import Pretrainer
from sensorfusion.sample import Batch, Features, SensorBatch

Backward = Callable[[Tensor], None]
_DIFFERENTIABLE = ("tokens", "grid", "weight")  # what of Features may carry a gradient


def backward(model: Pretrainer, batch: Batch, parts: int, run: Backward) -> dict[str, Tensor]:
    """Losses of a batch, and their gradient added to the parameters, in `parts` microbatches.

    Args:
        model: encoders, heads and terms.
        batch: all samples of the step on this rank.
        parts: microbatches.
        run: called with the sum of the losses; differentiates it (scaled if need be).
    """
    pieces = split(batch, parts)
    buffers = {name: value.clone() for name, value in _encoding_buffers(model)}
    states: list[list[Tensor]] = []
    leaves: list[dict[str, Features]] = []
    taught: list[dict[str, Features]] = []
    for piece in pieces:
        states.append(random_state())
        with torch.no_grad():
            cached = model.project(model.encode(piece))
            taught.append(model.taught(piece))
        leaves.append({name: _leaf(entry) for name, entry in cached.items()})
    for name, value in _encoding_buffers(model):
        value.copy_(buffers[name])
    losses = model.losses(_joined(leaves) | _joined(taught), batch)
    total = sum_of(losses)
    if total.requires_grad:
        run(total)
    after = random_state()
    for piece, state, features in zip(pieces, states, leaves, strict=True):
        set_random_state(state)
        _continue(model.project(model.encode(piece)), features)
    set_random_state(after)
    return losses


def _joined(pieces: Sequence[Mapping[str, Features]]) -> dict[str, Features]:
    return {name: join([features[name] for features in pieces]) for name in pieces[0]}


def sum_of(losses: Mapping[str, Tensor]) -> Tensor:
    """The training loss: the sum of named weighted losses; zero for none."""
    return sum(losses.values(), start=torch.zeros(()))


def split(batch: Batch, parts: int) -> list[Batch]:
    """Cut a batch into at most `parts` batches of consecutive samples; none is empty."""
    size = len(batch)
    bounds = [size * i // parts for i in range(parts + 1)]
    cuts = [slice(a, b) for a, b in itertools.pairwise(bounds) if b > a]
    return [_samples(batch, cut) for cut in cuts] or [batch]


def join(features: Sequence[Features]) -> Features:
    """Features of consecutive microbatches as those of the whole; items are renumbered."""
    offsets = [0]
    for entry in features:
        offsets.append(offsets[-1] + entry.size)
    items = [entry.item + offset for entry, offset in zip(features, offsets, strict=False)]
    positions = _join_optional([entry.positions for entry in features if len(entry)])
    return Features(
        tokens=torch.cat([entry.tokens for entry in features]),
        item=torch.cat(items),
        frame=torch.cat([entry.frame for entry in features]),
        size=offsets[-1],
        valid=torch.cat([entry.valid for entry in features]),
        positions=positions,
        grid=_join_optional([entry.grid for entry in features if len(entry)]),
        weight=_join_optional([entry.weight for entry in features if len(entry)]),
    )


def random_state() -> list[Tensor]:
    """State of torch's generators: the CPU's, then the current CUDA device's."""
    states = [torch.get_rng_state()]
    if torch.cuda.is_available():
        states.append(torch.cuda.get_rng_state())
    return states


def set_random_state(states: Sequence[Tensor]) -> None:
    """Restore what `random_state` returned."""
    torch.set_rng_state(states[0])
    if len(states) > 1:
        torch.cuda.set_rng_state(states[1])


def _continue(features: Mapping[str, Features], leaves: Mapping[str, Features]) -> None:
    """Carry the cached gradients on, through the graphs of one microbatch."""
    outputs: list[Tensor] = []
    gradients: list[Tensor] = []
    for name, entry in features.items():
        for part in _DIFFERENTIABLE:
            output, leaf = getattr(entry, part), getattr(leaves[name], part)
            if output is None or leaf is None or leaf.grad is None or not output.requires_grad:
                continue
            outputs.append(output)
            gradients.append(leaf.grad)
    if outputs:
        torch.autograd.backward(outputs, gradients)


def _leaf(features: Features) -> Features:
    parts = {part: getattr(features, part) for part in _DIFFERENTIABLE}
    leaves = {p: t.detach().requires_grad_() for p, t in parts.items() if t is not None}
    return features.replace(**leaves)


def _encoding_buffers(model: Pretrainer) -> list[tuple[str, Tensor]]:
    parts = nn.ModuleDict({"e": model.encoders, "h": model.heads, "f": model.fusions})
    return list(parts.named_buffers())


def _samples(batch: Batch, cut: slice) -> Batch:
    return dataclasses.replace(
        batch,
        sensors={name: _readings(sensor, cut) for name, sensor in batch.sensors.items()},
        ids=batch.ids[cut],
        index=batch.index[cut],
        labels={name: label[cut] for name, label in batch.labels.items()},
        keys={name: key[cut] for name, key in batch.keys.items()},
    )


def _readings(sensor: SensorBatch, cut: slice) -> SensorBatch:
    chosen = (sensor.item >= cut.start) & (sensor.item < cut.stop)
    rows = chosen if sensor.lengths is None else chosen[sensor.row_reading]
    clocks = tuple(c for c, keep in zip(sensor.clocks, chosen.tolist(), strict=False) if keep)
    return dataclasses.replace(
        sensor,
        present=sensor.present[cut],
        values={name: value[rows] for name, value in sensor.values.items()},
        lengths=None if sensor.lengths is None else sensor.lengths[chosen],
        poses=None if sensor.poses is None else sensor.poses[chosen],
        calibration={name: value[chosen] for name, value in sensor.calibration.items()},
        clocks=clocks,
    )


def _join_optional(tensors: Sequence[Tensor | None]) -> Tensor | None:
    present = [tensor for tensor in tensors if tensor is not None]
    if not present or len(present) < len(tensors):
        return None
    if any(tensor.shape[1:] != present[0].shape[1:] for tensor in present):
        return None
    return torch.cat(present)
