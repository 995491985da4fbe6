"""What is asked of an export, checked before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sensorfusion.errors import ConfigError
from sensorfusion.simulation.town import SECONDS

START = 1.0  # seconds into a scene at which recordings start


def silent(done: int, total: int) -> None:
    """Report nothing."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What to write; formats ignore what they have no use for.

    Args:
        scenes: numbers of the scenes. seed: of everything.
        frames: of each scene: keyframes (nuScenes) or scans (SemanticKITTI).
        image_size: (H, W); None: as large as the format's own cameras make them.
        quality: of JPEGs, 1-100.
        sweeps, camera_sweeps: how many LiDAR sweeps and images of each camera are written before
            every keyframe but the first.
        distorted: points stay where the moving sensor measured them.
        workers: processes; the files are the same for any number.
        report: called with how many jobs are done and how many there are.
    """

    scenes: tuple[int, ...] = (0,)
    seed: int = 0
    frames: int = 10
    image_size: tuple[int, int] | None = None
    quality: int = 95
    sweeps: int = 9
    camera_sweeps: int = 5
    distorted: bool = False
    workers: int = 1
    report: Callable[[int, int], None] = silent

    def __post_init__(self) -> None:
        if not self.scenes or min(self.scenes) < 0 or len(set(self.scenes)) < len(self.scenes):
            raise _impossible(f"scenes {self.scenes}", "give different numbers from 0")
        if self.seed < 0:
            raise _impossible(f"seed {self.seed}", "give a number from 0")
        if self.image_size is not None and not 16 <= min(self.image_size) <= 4096:
            raise _impossible(f"images of {self.image_size}", "give height and width from 16")
        if self.workers < 1:
            raise _impossible(f"{self.workers} workers", "give at least 1")
        within("quality", self.quality, 1, 100)
        within("frames", self.frames, 1, 1000)

    def recipe(self) -> dict[str, object]:
        """What the files depend on, for JSON."""
        left_out = {"workers", "report"}
        return {name: value for name, value in vars(self).items() if name not in left_out}


def require_frames(frames: int, every: float) -> None:
    """Check that so many frames fit into a scene.

    Args:
        every: seconds between frames.
    """
    most = int((SECONDS - 2 * START) / every + 1e-9) + 1
    within("frames", frames, 1, most)


def within(name: str, value: int, low: int, high: int) -> None:
    """Raise `ConfigError` for a number out of its range."""
    if not low <= value <= high:
        raise _impossible(f"{name} = {value}", f"give {low} to {high}")


def _impossible(what: str, remedy: str) -> ConfigError:
    return ConfigError(what, where="an export of the simulated world", remedy=remedy)
