"""Sparse convolution in loader workers and from several Python threads."""

from __future__ import annotations

import threading

import pytest
import torch

from sensorfusion.ops import SparseConv3d, SparseTensor, SubMConv3d
from tests.children import value_in_child
from tests.ops.clouds import cloud


def gradient_norm() -> float:
    """A forward and backward pass whose result follows from a seed."""
    torch.manual_seed(0)
    coordinates = cloud(800)
    tensor = SparseTensor(coordinates, torch.randn(len(coordinates), 8).requires_grad_())
    SparseConv3d(8, 8)(SubMConv3d(8, 8)(tensor)).features.square().sum().backward()
    return float(tensor.features.grad.norm())


def gradient_norm_on_one_thread() -> float:
    torch.set_num_threads(1)  # as loader workers do: torch's own threads do not survive a fork
    return gradient_norm()


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_worker_convolves_after_its_parent_did(start: str) -> None:
    torch.set_num_threads(2)
    try:
        expected = gradient_norm()
    finally:
        torch.set_num_threads(1)
    assert value_in_child(start, gradient_norm_on_one_thread) == expected


def test_threads_convolve_at_the_same_time() -> None:
    coordinates = cloud(800)
    tensor = SparseTensor(coordinates, torch.randn(len(coordinates), 8))
    conv = SubMConv3d(8, 8)
    expected, found = conv(tensor).features, []

    def work() -> None:
        torch.set_num_threads(2)
        for _ in range(20):
            fresh = SparseTensor(coordinates, tensor.features)
            found.append(torch.equal(conv(fresh).features, expected))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    torch.set_num_threads(1)
    assert len(found) == 60
    assert all(found)
