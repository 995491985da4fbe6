"""Backends of sparse convolutions, and which one is used."""

from __future__ import annotations

import os
from typing import Literal, get_args

import torch

from sensorfusion.errors import ConfigError, MissingDependencyError
from sensorfusion.ops.backends.backend import Backend
from sensorfusion.ops.backends.cpu import Cpu
from sensorfusion.ops.backends.gather import GatherScatter
from sensorfusion.ops.backends.reference import Reference
from sensorfusion.ops.backends.spconv import REMEDY, Spconv

VARIABLE = "SENSORFUSION_SPARSE_BACKEND"
Name = Literal["cpu", "spconv", "torch", "reference", "triton"]
NAMES: tuple[Name, ...] = get_args(Name)


def backend_for(device: torch.device, name: str | None = None) -> Backend:
    """The backend that computes on a device: the named one, else the environment's, else the best.

    `cpu`: our kernels; `spconv`: its GPU kernels; `torch`: gather, multiply and scatter on any
    device; `reference`: dense, slow, the oracle.

    Raises:
        ConfigError: for an unknown name, or one that cannot compute on the device.
        MissingDependencyError: when what it needs is not there.
    """
    if name is None:
        name = os.environ.get(VARIABLE) or default_name(device)
    if name == "cpu" and device.type == "cpu":
        return Cpu()
    if name == "spconv" and device.type == "cuda":
        if not Spconv.has_cuda():
            raise MissingDependencyError("spconv is not installed for GPUs", remedy=REMEDY)
        return Spconv()
    if name == "torch":
        return GatherScatter()
    if name == "reference":
        return Reference()
    if name == "triton":
        raise MissingDependencyError(
            "there is no triton backend in this version", remedy="use spconv or torch"
        )
    where = f"sparse backend {name!r}" + (f", from {VARIABLE}" if os.environ.get(VARIABLE) else "")
    if name in ("cpu", "spconv"):
        computes = "the CPU" if name == "cpu" else "NVIDIA GPUs"
        raise ConfigError(
            f"the {name} backend computes on {computes} only",
            where=where,
            remedy=f"on {device.type} use {default_name(device)}, or let the device choose",
        )
    raise ConfigError(
        f"no backend is named {name}", where=where, remedy=f"known: {', '.join(NAMES)}"
    )


def default_name(device: torch.device) -> Name:
    """The name of the backend that is used on a device when none is asked for."""
    if device.type == "cpu":
        return "cpu"
    return "spconv" if device.type == "cuda" and Spconv.has_cuda() else "torch"


def obstacles(device: torch.device) -> dict[str, str]:
    """For every backend why it cannot compute on a device, or an empty string."""
    found: dict[str, str] = {}
    for name in NAMES:
        try:
            backend_for(device, name)
        except (ConfigError, MissingDependencyError) as error:
            found[name] = "; ".join(filter(None, (error.what, error.remedy)))
        else:
            found[name] = ""
    return found
