"""One training step: losses, gradient, agreement between ranks, clipping, the update, averages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn
from torch.optim import Optimizer

from sensorfusion.engine import accumulate, distributed
from sensorfusion.engine.optimizer import set_rate
from sensorfusion.engine.recipe import Train
from sensorfusion.engine.schedule import Schedule
from sensorfusion.errors import ConfigError, NonFiniteError
from sensorfusion.model import Pretrainer
from sensorfusion.sample import Batch

_LEAST_SCALE = 1.0  # of the float16 loss; overflow below it is the model's fault


@dataclass(frozen=True)
class Outcome:
    """What one step gave.

    Args:
        losses: weighted named losses. total: their sum.
        rate: learning rate of the first parameter group.
        gradient_norm: of the whole gradient, before clipping.
        updated: False when float16 gradients overflowed: the loss scale was lowered instead.
    """

    losses: dict[str, float]
    total: float
    rate: float
    gradient_norm: float
    updated: bool


class Average:
    """Exponential moving average of the weights; other state is copied.

    average <- decay * average + (1 - decay) * weights, after every step.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.tensors = {name: value.clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def follow(self, model: nn.Module) -> None:
        """Take one step towards the model."""
        trained = {name for name, p in model.named_parameters() if p.requires_grad}
        for name, value in model.state_dict().items():
            if name in trained:
                self.tensors[name].lerp_(value, 1 - self.decay)
            else:
                self.tensors[name].copy_(value)


class Update(OptimWrapper):  # type: ignore[misc]
    """The optimiser with all that surrounds a step; mmengine's hooks find it as usual.

    Args:
        model: a batch to weighted named losses; `after_step`, where it has one, is called.
        optimizer: over its parameters. schedule: of the rates. train: section `train`.
        device: where the batches are.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        schedule: Schedule,
        train: Train,
        device: torch.device,
    ) -> None:
        super().__init__(optimizer)
        self.model, self.schedule, self.train = model, schedule, train
        self.autocast = torch.autocast(
            device.type,
            torch.bfloat16 if train.precision == "bfloat16" else torch.float16,
            enabled=train.precision != "float32",
        )
        self.scaler = torch.amp.GradScaler(device.type, enabled=train.precision == "float16")
        self.average = None if train.ema is None else Average(model, train.ema)
        if train.accumulate > 1 and not isinstance(model, Pretrainer):
            raise ConfigError(
                f"{type(model).__name__} cannot cache features",
                where="train.accumulate",
                remedy="accumulation needs a Pretrainer",
            )

    def step_on(self, batch: Batch, step: int, steps: int) -> Outcome:
        """Train on one batch.

        Args:
            batch: samples of this rank. step: from 0. steps: the limit of the run.

        Raises:
            NonFiniteError: on all ranks, before any weight is changed, when a loss or gradient
                of any rank is not finite.
        """
        rate = set_rate(self.optimizer, self.schedule, step, steps)
        self.optimizer.zero_grad(set_to_none=True)
        losses = self._backward(batch)
        self._require_finite(losses, batch)
        distributed.sum_gradients(self.model.parameters())
        norm, updated = self._apply()
        distributed.average_batch_statistics(self.model)
        if updated:
            if callable(after := getattr(self.model, "after_step", None)):
                after()
            if self.average is not None:
                self.average.follow(self.model)
        values = {name: float(value.detach()) for name, value in losses.items()}
        return Outcome(values, sum(values.values()), rate, norm, updated)

    def _backward(self, batch: Batch) -> dict[str, Tensor]:
        def run(total: Tensor) -> None:
            with torch.autocast(batch.index.device.type, enabled=False):
                self.scaler.scale(total).backward()  # type: ignore[no-untyped-call]

        with self.autocast:
            if self.train.accumulate > 1:
                model = cast(Pretrainer, self.model)
                return accumulate.backward(model, batch, self.train.accumulate, run)
            losses: dict[str, Tensor] = self.model(batch)
            total = accumulate.sum_of(losses)
        if total.requires_grad:
            run(total)
        return losses

    def _require_finite(self, losses: Mapping[str, Tensor], batch: Batch) -> None:
        """Stop all ranks together when one has a non-finite value."""
        bad = [name for name, value in losses.items() if not torch.isfinite(value.detach()).all()]
        bad_gradients = [] if self.scaler.is_enabled() else self._bad_gradients()
        if distributed.gather(torch.tensor(bool(bad or bad_gradients))).any():
            self._stop(bad, bad_gradients, batch)

    def _bad_gradients(self) -> list[str]:
        named = [(n, p.grad) for n, p in self.model.named_parameters() if p.grad is not None]
        if not named:
            return []
        if bool(torch.isfinite(nn.utils.get_total_norm([gradient for _, gradient in named]))):
            return []
        return [name for name, gradient in named if not torch.isfinite(gradient).all()]

    def _stop(self, losses: list[str], gradients: list[str], batch: Batch) -> None:
        ids = suspects(self.model, batch) if losses or gradients else []
        found = distributed.gather_texts(ids)
        what = distributed.gather_texts([*losses, *(f"gradient of {name}" for name in gradients)])
        ranks = [r for r, names in enumerate(what) if names]
        raise NonFiniteError(
            f"non-finite {', '.join(what[ranks[0]][:5]) if ranks else 'value'}",
            where="; ".join(f"rank {r}: samples {found[r]}" for r in ranks),
            remedy="nothing was updated; look at these samples, lower the learning rate, or clip"
            " gradients (train.clip_norm)",
        )

    def _apply(self) -> tuple[float, bool]:
        parameters = [p for p in self.model.parameters() if p.grad is not None]
        if not parameters:
            return 0.0, True
        self.scaler.unscale_(self.optimizer)
        limit = float("inf") if self.train.clip_norm is None else self.train.clip_norm
        norm = float(nn.utils.clip_grad_norm_(parameters, limit))
        finite = torch.isfinite(torch.tensor(norm)).item()
        if not finite and self.scaler.get_scale() <= _LEAST_SCALE:
            raise NonFiniteError(
                f"the norm of the gradient is {norm}",
                remedy="nothing was updated; lower the learning rate or the weights of the terms",
            )
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return norm, bool(finite)

    def scaler_state(self) -> dict[str, Any]:
        """State of the loss scaler (empty unless float16)."""
        return dict(self.scaler.state_dict())


@torch.no_grad()
def suspects(model: nn.Module, batch: Batch) -> list[str]:
    """Ids of the samples whose readings or features are not finite, else of the whole batch."""
    found: set[int] = set()
    for sensor in batch.sensors.values():
        for value in sensor.values.values():
            wrong = ~torch.isfinite(value.reshape(len(value), -1)).all(dim=1)
            reading = torch.arange(len(sensor), device=value.device)
            rows = reading if sensor.lengths is None else sensor.row_reading
            found.update(sensor.item[rows[wrong]].tolist())
    if not found and isinstance(model, Pretrainer):
        for features in model.project(model.encode(batch)).values():
            wrong = ~torch.isfinite(features.tokens).all(dim=1)
            found.update(features.item[wrong].tolist())
    return [batch.ids[i] for i in sorted(found)] or list(batch.ids)
