"""MinkUNet34 on a LiDAR scan, forward and backward: ours on the CPU against spconv's CPU build.

The same network with the same weights in training mode, kernel maps included; outputs and
gradients are compared first. Beside it the products that its convolutions consist of: for every
layer and offset three dense matrix products (output, gradient of the input, of the weight) with as
many rows as the offset has pairs. spconv's CPU build returns wrong rows on more than one thread, so
that it runs on one.

    python benchmarks/minkunet.py SCAN.bin [--voxel 0.1] [--threads 2] [--repeats 3] [--profile]

SCAN.bin holds float32 [N, 4]: x, y, z in metres and the reflectance, as KITTI's files do.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from alternate import alternate
from spconv_unet import SpconvUNet, shifted
from threads import on_threads
from torch import Tensor

from sensorfusion.encoders.minkunet import VARIANTS
from sensorfusion.encoders.sparse_unet import SparseUNet
from sensorfusion.geometry.segments import segment_mean
from sensorfusion.geometry.voxels import VoxelGrid, voxelise
from sensorfusion.ops import SparseTensor, functional
from sensorfusion.ops.kernel_map import KernelMap
from sensorfusion.ops.weights import to_layout


@dataclass(frozen=True)
class Layer:
    """One convolution as it ran.

    Args:
        pairs: per offset. inputs, outputs: channels. trains_input: the input has a gradient.
    """

    pairs: tuple[int, ...]
    inputs: int
    outputs: int
    trains_input: bool

    @property
    def gigaflop(self) -> float:
        """Of the output, and of the gradients."""
        passes = 3 if self.trains_input else 2
        return passes * 2 * sum(self.pairs) * self.inputs * self.outputs / 1e9


def voxels_of(scan: str, size: float) -> tuple[Tensor, Tensor]:
    """Coordinates int32 [V, 4] and mean reflectance [V, 1] of the voxels of a scan."""
    points_N4 = np.fromfile(scan, np.float32).reshape(-1, 4)
    voxels = voxelise(points_N4, VoxelGrid((size,) * 3))
    reflectance_N1 = torch.from_numpy(points_N4[:, 3:].copy())
    inverse_N = torch.from_numpy(voxels.inverse_N)
    return (
        torch.from_numpy(voxels.coordinates_V4),
        segment_mean(reflectance_N1, inverse_N, len(voxels)),
    )


def layers_of(run: Callable[[], object]) -> list[Layer]:
    """The convolutions that a forward pass of ours calls."""
    found, convolve = [], functional.convolve

    def noted(features: Tensor, weight: Tensor, kernel_map: KernelMap, *rest: object) -> Tensor:
        starts = kernel_map.pairs.starts
        pairs = tuple(last - first for first, last in pairwise(starts))
        found.append(Layer(pairs, *weight.shape[1:], features.requires_grad))
        return convolve(features, weight, kernel_map, *rest)

    functional.convolve = noted
    try:
        run()
    finally:
        functional.convolve = convolve
    return found


def products(layers: list[Layer]) -> Callable[[], None]:
    """The matrix products of all layers, into buffers that are there."""
    rows = max(max(layer.pairs) for layer in layers)
    widest = max(max(layer.inputs, layer.outputs) for layer in layers)
    memory = [torch.randn(rows * widest) for _ in range(3)]
    weights = torch.randn(2, widest * widest)

    def run() -> None:
        for layer in layers:
            i, o = layer.inputs, layer.outputs
            weight, gradient = weights[0, : i * o].view(i, o), weights[1, : i * o].view(i, o)
            for n in filter(None, layer.pairs):
                x, y = memory[0][: n * i].view(n, i), memory[1][: n * o].view(n, o)
                torch.mm(x, weight, out=memory[2][: n * o].view(n, o))
                if layer.trains_input:
                    torch.mm(y, weight.T, out=memory[2][: n * i].view(n, i))
                torch.mm(x.T, y, out=gradient)

    return run


def difference(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference, relative to the largest value."""
    return float((ours - theirs).abs().max() / theirs.abs().max())


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scan")
    parser.add_argument("--voxel", type=float, default=0.1)
    parser.add_argument("--threads", type=int, default=2, help="of ours and of the products")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--wall", action="store_true", help="elapsed time on one thread, too")
    parser.add_argument("--profile", action="store_true", help="print where our time goes")
    options = parser.parse_args()
    torch.manual_seed(0)
    coordinates, features = voxels_of(options.scan, options.voxel)
    network = SparseUNet(1, **VARIANTS["34C"]).train()
    twin = SpconvUNet(network).train()
    moved, shape = shifted(coordinates)
    gradient = torch.randn(len(coordinates), network.width)

    def forward() -> Tensor:
        return network(SparseTensor(coordinates, features)).features

    def ours() -> Tensor:
        out = forward()
        out.backward(gradient)
        return out.detach()

    def theirs() -> Tensor:
        out = twin(features, moved, shape)
        out.backward(gradient)
        return out.detach()

    layers = layers_of(forward)
    tasks = {
        "ours": on_threads(options.threads, ours),
        "spconv": on_threads(1, theirs),
        "products": on_threads(options.threads, products(layers)),
    }
    gigaflop = sum(layer.gigaflop for layer in layers)
    print(f"torch {torch.__version__}, {platform.processor() or platform.machine()}")
    print(
        f"{len(coordinates)} voxels, {len(layers)} convolutions, "
        f"{gigaflop:.1f} GFLOP forward and backward"
    )
    out = difference(tasks["ours"](), tasks["spconv"]())
    ours_KIO, theirs_OK = (w.grad for w in (network.down[0].conv.weight, twin.down[0][0].weight))
    same_OK = to_layout(ours_KIO, "spconv2", (2, 2, 2))
    print(
        f"largest relative difference: output {out:.1e}, "
        f"gradient of the first strided kernel {difference(same_OK, theirs_OK):.1e}"
    )
    report(options, gigaflop, tasks)
    if options.profile:
        with torch.profiler.profile() as profile:
            tasks["ours"]()
        print(profile.key_averages().table(sort_by="self_cpu_time_total", row_limit=16))


def report(
    options: argparse.Namespace, gigaflop: float, tasks: dict[str, Callable[[], object]]
) -> None:
    """Time the tasks in turn and print medians, ratios and rates."""
    clock = time.perf_counter if options.threads > 1 or options.wall else time.process_time
    times = alternate(tasks, options.repeats, warm_up=0, clock=clock)
    mine, peer, dense = times["ours"], times["spconv"], times["products"]
    print(f"{clock.__name__}, {options.threads} threads (spconv: 1)")
    for name, taken in times.items():
        print(f"{name}: {taken / 1e3:.2f} s, {gigaflop / taken * 1e3:.1f} GFLOP/s")
    print(f"spconv / ours: {peer / mine:.2f}; share of the products' rate: {dense / mine:.0%}")


if __name__ == "__main__":
    main()
