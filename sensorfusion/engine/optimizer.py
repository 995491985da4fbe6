"""Optimisers by config: parameter groups by name, rates set by the schedule at every step."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.optim import Optimizer

from sensorfusion.engine.config import TYPE, build, call
from sensorfusion.engine.schedule import Schedule
from sensorfusion.errors import ConfigError

BASE_RATE = "base_lr"  # key of a group that keeps the rate before the schedule


def build_optimizer(node: Mapping[str, Any], model: nn.Module) -> Optimizer:
    """An optimiser over a model's trained parameters.

    Args:
        node: `type`, its arguments, and `groups`: {pattern of parameter names: changed
            arguments}; the first matching pattern counts.
        model: whose parameters are trained.

    Raises:
        ConfigError: for a pattern that matches nothing, or a model without parameters.
    """
    patterns: Mapping[str, Mapping[str, Any]] = node.get("groups") or {}
    names: dict[str, list[str]] = {pattern: [] for pattern in ["", *patterns]}
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    for name in trained:
        match = (pattern for pattern in patterns if fnmatch.fnmatchcase(name, pattern))
        names[next(match, "")].append(name)
    for pattern, matched in names.items():
        if pattern and not matched:
            raise ConfigError(
                f"pattern {pattern!r} matches no trained parameter",
                where="optimizer.groups",
                remedy=f"parameters have names such as {next(iter(trained), 'none')!r}",
            )
    if not trained:
        raise ConfigError("the model has no trained parameter", where="model")
    arguments = {key: value for key, value in node.items() if key not in (TYPE, "groups")}
    groups = [
        {"params": [trained[name] for name in matched], "names": matched, **patterns.get(key, {})}
        for key, matched in names.items()
        if matched
    ]
    optimizer: Optimizer = call(node.get(TYPE), build(arguments, "optimizer"), "optimizer", groups)
    for group in optimizer.param_groups:
        group[BASE_RATE] = group["lr"]
    return optimizer


def set_rate(optimizer: Optimizer, schedule: Schedule, step: int, steps: int) -> float:
    """Set the learning rates of a step; returns the first group's."""
    factor = schedule(step, steps)
    for group in optimizer.param_groups:
        group["lr"] = group[BASE_RATE] * factor
    return float(optimizer.param_groups[0]["lr"])
