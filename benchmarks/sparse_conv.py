"""A submanifold 3^3 convolution on the CPU, kernel map found before: ours against spconv's.

spconv's CPU build returns wrong rows on more than one thread (its scatter has a data race), so
that at two threads its time is that of a wrong result; at one thread both are checked to agree.
Each pair of --threads is ours and spconv's.

    python benchmarks/sparse_conv.py [--voxels 40000] [--channels 64] [--threads 2,2 2,1 1,1]
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable

import torch
from alternate import alternate
from peers import SpconvSubM
from street import street_voxels
from threads import on_threads
from torch import Tensor

from sensorfusion.ops import SparseTensor
from sensorfusion.ops.functional import convolve
from sensorfusion.ops.kernel import Kernel


def forward(function: Callable[[Tensor], Tensor], features_NC: Tensor) -> Callable[[], Tensor]:
    """A forward pass without gradients."""

    def run() -> Tensor:
        with torch.no_grad():
            return function(features_NC)

    return run


def both(
    function: Callable[[Tensor], Tensor], features_NC: Tensor, gradient_NC: Tensor
) -> Callable[[], None]:
    """A forward and a backward pass, gradients of features and weight."""

    def run() -> None:
        function(features_NC.detach().requires_grad_()).backward(gradient_NC)

    return run


def pair(text: str) -> tuple[int, int]:
    """Threads of ours and of spconv, from "2,1"."""
    mine, peer = map(int, text.split(","))
    return mine, peer


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--voxels", type=int, default=40_000)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--threads", type=pair, nargs="+", default=[(2, 2), (2, 1), (1, 1)])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--shuffled", action="store_true", help="voxels in no order")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    coordinates = street_voxels(options.voxels, is_sorted=not options.shuffled)
    channels = options.channels
    features, gradient = torch.randn(2, options.voxels, channels).unbind()
    weight = (torch.randn(27, channels, channels) / (27 * channels) ** 0.5).requires_grad_()
    tensor = SparseTensor(torch.from_numpy(coordinates), features)
    kernel_map = tensor.levels.submanifold((), Kernel.of(3, 3))
    pairs = len(kernel_map.pairs.in_rows)
    theirs = SpconvSubM(coordinates, weight.detach())
    with torch.no_grad():
        difference = float((convolve(features, weight, kernel_map) - theirs(features)).abs().max())
    gigaflop = 2 * pairs * channels**2 / 1e9
    print(f"torch {torch.__version__}, {platform.processor() or platform.machine()}")
    print(
        f"{options.voxels} voxels, {pairs / options.voxels:.2f} pairs per voxel, "
        f"{channels} channels, {gigaflop:.2f} GFLOP forward, largest difference {difference:.1e}"
    )

    def ours(x: Tensor) -> Tensor:
        return convolve(x, weight, kernel_map)

    for mine, peer in options.threads:
        times = alternate(
            {
                "ours": on_threads(mine, forward(ours, features)),
                "spconv": on_threads(peer, forward(theirs, features)),
                "ours, both": on_threads(mine, both(ours, features, gradient)),
                "spconv, both": on_threads(peer, both(theirs, features, gradient)),
            },
            options.repeats,
        )
        for label, suffix, work in (("forward", "", 1), ("forward+backward", ", both", 3)):
            our_time, their_time = times["ours" + suffix], times["spconv" + suffix]
            print(
                f"{label}: ours on {mine} threads {our_time:.1f} ms "
                f"({work * gigaflop / our_time * 1e3:.0f} GFLOP/s), "
                f"spconv on {peer} {their_time:.1f} ms, ratio {their_time / our_time:.2f}"
            )


if __name__ == "__main__":
    main()
