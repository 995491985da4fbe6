"""Sensor-fusion pretraining: contrast any set of sensors registered in time and space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sensorfusion.export import load_encoder

__all__ = ["__version__", "load_encoder"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # On first use, so that importing the package does not import torch.
    if name == "load_encoder":
        from sensorfusion.export import load_encoder

        return load_encoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
