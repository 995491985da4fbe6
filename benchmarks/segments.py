"""Mean of 34,000 rows of 64 features over 900 segments, against SLidR's sparse-matrix product.

python benchmarks/segments.py [--threads 2] [--repeats 101]
"""

from __future__ import annotations

from alternate import compare, parsed

ROWS, WIDTH, SEGMENTS = 34_000, 64, 900


def main() -> None:
    """Run the comparison and print it."""
    options = parsed(__doc__, repeats=101)
    import torch
    from torch import Tensor

    from sensorfusion.geometry.segments import segment_mean

    generator = torch.Generator().manual_seed(0)
    features = torch.randn(ROWS, WIDTH, generator=generator)
    ids = torch.randint(0, SEGMENTS, (ROWS,), generator=generator)

    def sparse(rows: Tensor) -> Tensor:
        # Every step builds the matrix anew, and counts by adding up its rows.
        with torch.no_grad():
            places = torch.stack([ids, torch.arange(ROWS)])
            matrix = torch.sparse_coo_tensor(places, torch.ones(ROWS), (SEGMENTS, ROWS))
        return matrix @ rows / (torch.sparse.sum(matrix, 1).to_dense()[:, None] + 1e-6)

    def sparse_bincount(rows: Tensor) -> Tensor:
        with torch.no_grad():
            places = torch.stack([ids, torch.arange(ROWS)])
            matrix = torch.sparse_coo_tensor(places, torch.ones(ROWS), (SEGMENTS, ROWS))
        return matrix @ rows / (torch.bincount(ids, minlength=SEGMENTS)[:, None] + 1e-6)

    def index_add(rows: Tensor) -> Tensor:
        sums = rows.new_zeros(SEGMENTS, WIDTH).index_add(0, ids, rows)
        return sums / torch.bincount(ids, minlength=SEGMENTS).clamp(min=1)[:, None]

    def ours(rows: Tensor) -> Tensor:
        return segment_mean(rows, ids, SEGMENTS)

    def with_gradient(way: object) -> Tensor:
        leaf = features.clone().requires_grad_()
        way(leaf).square().sum().backward()
        return leaf.grad

    print(f"differ by {float((ours(features) - sparse(features)).abs().max()):.1e}")
    ways = {
        "ours": ours,
        "SLidR's sparse-matrix product": sparse,
        "the same, counts by bincount": sparse_bincount,
        "index_add": index_add,
    }
    title = f"segment mean {ROWS} x {WIDTH} -> {SEGMENTS}, {options.threads} threads"
    forward = {name: lambda way=way: way(features) for name, way in ways.items()}
    compare(title, forward, options.repeats)
    both = {name: lambda way=way: with_gradient(way) for name, way in ways.items()}
    compare(f"{title}, with gradient", both, options.repeats)


if __name__ == "__main__":
    main()
