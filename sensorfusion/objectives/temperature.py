"""The scale of logits: a temperature, fixed or learned, with an optional bias."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sensorfusion.errors import ConfigError


class Temperature(nn.Module):
    """Logits are <row, column> / temperature + bias.

    A learned temperature is learned as the logarithm of its inverse (Radford et al. 2021,
    "CLIP", section 2.3) and clamped after each optimiser step.

    Args:
        initial: temperature > 0 at the start.
        learned: whether it is a parameter.
        bounds: smallest and largest temperature that learning may reach.
        bias: initial value of a learned bias (SigLIP: -10); None for no bias.
    """

    def __init__(
        self,
        initial: float = 0.07,
        *,
        learned: bool = False,
        bounds: tuple[float, float] = (0.01, 1.0),
        bias: float | None = None,
    ) -> None:
        super().__init__()
        low, high = bounds
        if not initial > 0 or not 0 < low <= high or (learned and not low <= initial <= high):
            raise ConfigError(
                f"temperature {initial} with bounds {bounds}",
                remedy="give a positive temperature, within the bounds if it is learned",
            )
        self.initial, self.low, self.high = initial, low, high
        log_scale = torch.tensor(-math.log(initial))
        self.log_scale = nn.Parameter(log_scale) if learned else None
        self.bias = None if bias is None else nn.Parameter(torch.tensor(float(bias)))

    def forward(self) -> tuple[Tensor, Tensor]:
        """Scale and bias of the logits: scalars, of float64 where they are fixed."""
        fixed = torch.tensor(1 / self.initial, dtype=torch.float64)
        scale = fixed if self.log_scale is None else self.log_scale.exp()
        bias = torch.zeros_like(scale) if self.bias is None else self.bias
        return scale, bias

    @torch.no_grad()
    def clamp(self) -> None:
        """Bring a learned temperature back within its bounds."""
        if self.log_scale is not None:
            self.log_scale.clamp_(-math.log(self.high), -math.log(self.low))
