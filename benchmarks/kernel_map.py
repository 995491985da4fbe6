"""The kernel map of a submanifold 3^3 convolution on the CPU: ours against spconv's.

Ours begins with coordinates that were checked before (as voxelisation leaves them) and ends with
pair lists, or with the table of neighbours made of them; spconv's is `get_indice_pairs`.

    python benchmarks/kernel_map.py [--voxels 40000] [--threads 1 2] [--repeats 31] [--shuffled]
"""

from __future__ import annotations

import argparse
import platform
from itertools import pairwise

import torch
from alternate import alternate
from peers import index_pairs
from street import street_voxels

from sensorfusion.ops.kernel import Kernel
from sensorfusion.ops.pair_search import find_pairs, find_pairs_reference
from sensorfusion.ops.sites import checked_sites


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--voxels", type=int, default=40_000)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=31)
    parser.add_argument("--shuffled", action="store_true", help="voxels in no order")
    options = parser.parse_args()
    coordinates = torch.from_numpy(street_voxels(options.voxels, is_sorted=not options.shuffled))
    kernel = Kernel.of(3, 3)
    shape = [int(n) + 1 for n in coordinates.max(dim=0).values[1:]]
    sites = checked_sites(coordinates)
    pairs = find_pairs(sites, sites, kernel)
    theirs = index_pairs(coordinates, shape)[2].tolist()
    sizes = [b - a for a, b in pairwise(pairs.starts)]
    if sizes[:13] != theirs[:13]:  # spconv counts the first half; the rest mirrors it
        raise SystemExit(f"pairs per offset differ: {sizes} and {theirs}")
    print(f"torch {torch.__version__}, {platform.processor() or platform.machine()}")
    print(f"{options.voxels} voxels, {len(pairs.in_rows)} pairs")
    for threads in options.threads:
        torch.set_num_threads(threads)
        times = alternate(
            {
                "pair lists": lambda: find_pairs(sites, sites, kernel),
                "coordinates checked, pair lists": lambda: fresh(coordinates, kernel),
                "reference in torch": lambda: find_pairs_reference(sites, sites, kernel),
                "spconv": lambda: index_pairs(coordinates, shape),
            },
            options.repeats,
        )
        for name, milliseconds in times.items():
            ratio = times["spconv"] / milliseconds
            print(f"{threads} threads, {name}: {milliseconds:.2f} ms, spconv / this {ratio:.2f}")


def fresh(coordinates: torch.Tensor, kernel: Kernel) -> None:
    """From coordinates as a user gives them."""
    sites = checked_sites(coordinates)
    find_pairs(sites, sites, kernel)


if __name__ == "__main__":
    main()
