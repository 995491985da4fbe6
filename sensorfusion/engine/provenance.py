"""Where a run's numbers come from: versions, machine, command, state of the repository."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
import sys
from typing import Any

import torch

from sensorfusion import __version__

PACKAGES = ("torch", "numpy", "scipy", "numba", "mmengine", "safetensors")


def versions() -> dict[str, str]:
    """Versions of Python, this package and those that it computes with."""
    found = {"python": platform.python_version(), "sensorfusion": __version__}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "absent"
    return found


def provenance() -> dict[str, Any]:
    """What is written beside the config of a run."""
    return {
        "versions": versions(),
        "command": sys.argv,
        "machine": platform.platform(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "git": {"commit": _git("rev-parse", "HEAD"), "changed": _git("status", "--porcelain")},
    }


def _git(*arguments: str) -> str | None:
    """What git says about the current folder; None outside a repository."""
    try:
        done = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
