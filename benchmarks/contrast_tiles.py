"""Contrast of 16,384 moments without holding their logits: time and memory against dense.

Both sides compute CLIP's loss and its gradients in one process, alternating; "dense" is the same
objective in plain PyTorch (one matrix product and two cross-entropies).

    python benchmarks/contrast_tiles.py [--moments 16384] [--width 64] [--threads 2] [--repeats 3]
"""

from __future__ import annotations

import argparse
import platform
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from sensorfusion.objectives.contrast import Contrast
from sensorfusion.sample import Correspondence, Features

TEMPERATURE = 0.07


def tiled(first: Tensor, second: Tensor) -> Tensor:
    """The package's term."""
    size = len(first)
    index = torch.arange(size)
    valid = torch.ones(size, dtype=torch.bool)
    features = {
        name: Features(rows, index, torch.zeros_like(index), size, valid)
        for name, rows in (("a", first), ("b", second))
    }
    table = Correspondence(("a", "b"), (index,) * 2, (index,) * 2, size, index, torch.ones(size))
    return Contrast(temperature=TEMPERATURE)(features, table, {})["contrast"]


def dense(first: Tensor, second: Tensor) -> Tensor:
    """The same in plain PyTorch."""
    logits = normalize(first, dim=1) @ normalize(second, dim=1).T / TEMPERATURE
    own = torch.arange(len(first))
    return (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2


def resident() -> int:
    """Bytes of memory that the process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


class Peak:
    """Largest resident memory above that at the start, sampled every millisecond."""

    def __enter__(self) -> Peak:
        self.start = self.largest = resident()
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def _watch(self) -> None:
        while not self.stop.wait(0.001):
            self.largest = max(self.largest, resident())

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()

    @property
    def mebibytes(self) -> float:
        return (self.largest - self.start) / 2**20


def measure(
    loss_of: Callable[[Tensor, Tensor], Tensor], size: int, width: int
) -> tuple[float, float]:
    """Seconds and peak extra MiB of one forward and backward pass, gradients included."""
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randn(size, width, generator=generator).requires_grad_() for _ in range(2)]
    with Peak() as peak:
        start = time.perf_counter()
        loss_of(*rows).backward()
        seconds = time.perf_counter() - start
    return seconds, peak.mebibytes


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moments", type=int, default=16384)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for function in (tiled, dense):
        measure(function, 2048, options.width)  # libraries and thread pools are loaded
    found: dict[str, list[tuple[float, float]]] = {"tiled": [], "dense": []}
    for _ in range(options.repeats):
        for name, function in (("tiled", tiled), ("dense", dense)):
            found[name].append(measure(function, options.moments, options.width))
    print(f"torch {torch.__version__}, {options.threads} threads, {platform.processor() or 'cpu'}")
    print(f"{options.moments} x {options.moments} logits, width {options.width}, float32")
    for name, runs in found.items():
        seconds, memory = zip(*runs, strict=True)
        print(f"{name}: median {statistics.median(seconds):.2f} s, peak +{max(memory):.0f} MiB")
    ratios = [d[0] / t[0] for d, t in zip(found["dense"], found["tiled"], strict=True)]
    print(f"dense / tiled: median ratio {statistics.median(ratios):.2f} (>= 1: tiled is no slower)")


if __name__ == "__main__":
    main()
