"""Backends of sparse convolutions, and which one is used."""

from __future__ import annotations

import os

import torch

from sensorfusion.errors import ConfigError, MissingDependencyError
from sensorfusion.ops.backends.backend import Backend
from sensorfusion.ops.backends.cpu import Cpu
from sensorfusion.ops.backends.gather import GatherScatter
from sensorfusion.ops.backends.reference import Reference

VARIABLE = "SENSORFUSION_SPARSE_BACKEND"
NAMES = ("cpu", "torch", "reference", "spconv", "triton")


def backend_for(device: torch.device, name: str | None = None) -> Backend:
    """The backend that computes on a device: the named one, else by the environment, else the best.

    Raises:
        ConfigError: for an unknown name, or one that cannot compute on the device.
        MissingDependencyError: when what it needs is not installed.
    """
    name = name or os.environ.get(VARIABLE) or default_name(device)
    if name not in NAMES:
        raise ConfigError(f"sparse backend {name!r}; known are {', '.join(NAMES)}")
    if name == "cpu":
        return Cpu()
    if name == "torch":
        return GatherScatter()
    if name == "reference":
        return Reference()
    raise MissingDependencyError(f"sparse backend {name} is not available yet")


def default_name(device: torch.device) -> str:
    """The name of the backend that is used on a device when none is asked for."""
    return "cpu" if device.type == "cpu" else "torch"


def available_names(device: torch.device) -> list[str]:
    """Names of the backends that can compute on a device as things are."""
    found = []
    for name in NAMES:
        try:
            backend_for(device, name)
        except (ConfigError, MissingDependencyError):
            continue
        found.append(name)
    return found
