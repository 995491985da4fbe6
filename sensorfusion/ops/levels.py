"""The sites and kernel maps that the layers of a network share."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sensorfusion.errors import ConfigError
from sensorfusion.ops.downsample import Rule, coarser_sites
from sensorfusion.ops.kernel import Kernel
from sensorfusion.ops.kernel_map import KernelMap
from sensorfusion.ops.sites import Sites


@dataclass(frozen=True)
class Step:
    """One strided layer on the way to a level: all that decides its output sites."""

    stride: tuple[int, ...]
    rule: Rule
    window: Kernel | None

    @classmethod
    def of(cls, kernel: Kernel, rule: Rule) -> Step:
        return cls(kernel.stride, rule, None if rule == "floor" else kernel)


Path = tuple[Step, ...]


class Levels:
    """What belongs to a sparse tensor and all that layers make of it.

    A level is named by the strided layers that lead to it, so that layers with the same sites
    share them and their maps, and an inverse convolution finds its way back.

    Attributes:
        sites: per level. maps: per level of the input and kernel, the map of a convolution;
            keys also name the rule of its output sites, and whether it is an inverse.
    """

    def __init__(self, first: Sites) -> None:
        self.sites: dict[Path, Sites] = {(): first}
        self.maps: dict[tuple[Path, Path, Kernel, bool], KernelMap] = {}

    def submanifold(self, path: Path, kernel: Kernel) -> KernelMap:
        """Map of a convolution whose output sites are its input sites."""
        return self._map(path, path, kernel)

    def down(self, path: Path, kernel: Kernel, rule: Rule) -> tuple[Path, KernelMap]:
        """Level and map of a strided convolution."""
        if rule == "floor" and set(kernel.stride) == {1}:
            return path, self._map(path, path, kernel)
        coarse = (*path, Step.of(kernel, rule))
        if coarse not in self.sites:
            self.sites[coarse] = coarser_sites(self.sites[path], kernel, rule)
        return coarse, self._map(path, coarse, kernel)

    def up(self, path: Path, kernel: Kernel) -> tuple[Path, KernelMap]:
        """Level and map of the inverse of the strided convolution that made a level.

        Raises:
            ConfigError: when no strided convolution made it, or one with another window.
        """
        if not path:
            raise ConfigError(
                "an inverse convolution at the first level: there is no finer one",
                remedy="apply it to what a strided convolution of the same tensor returned",
            )
        made = path[-1]
        if made.stride != kernel.stride or (made.window and made.window != kernel):
            raise ConfigError(
                f"an inverse convolution with {kernel} at a level that was made by {made}",
                remedy="give it the stride (and for touched sites the kernel) of that layer",
            )
        fine = path[:-1]
        key = (path, fine, kernel, True)
        if key not in self.maps:
            self.maps[key] = self._map(fine, path, kernel).inverse()
        return fine, self.maps[key]

    def to(self, device: torch.device) -> Levels:
        """The same sites on a device; maps are found again there."""
        moved = Levels(self.sites[()].to(device))
        moved.sites |= {path: sites.to(device) for path, sites in self.sites.items() if path}
        return moved

    def _map(self, source: Path, target: Path, kernel: Kernel) -> KernelMap:
        key = (source, target, kernel, False)
        if key not in self.maps:
            self.maps[key] = KernelMap(self.sites[source], self.sites[target], kernel)
        return self.maps[key]
