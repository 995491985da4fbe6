"""Sparse convolution: tensors of features at few sites, layers over them, and their backends."""

from sensorfusion.ops.layers import (
    SparseConv2d,
    SparseConv3d,
    SparseInverseConv2d,
    SparseInverseConv3d,
    SubMConv2d,
    SubMConv3d,
)
from sensorfusion.ops.per_site import BatchNorm, PerSite, ReLU
from sensorfusion.ops.pooling import MaxPool, MeanPool, global_pool
from sensorfusion.ops.tensor import SparseTensor, cat

__all__ = [
    "BatchNorm",
    "MaxPool",
    "MeanPool",
    "PerSite",
    "ReLU",
    "SparseConv2d",
    "SparseConv3d",
    "SparseInverseConv2d",
    "SparseInverseConv3d",
    "SparseTensor",
    "SubMConv2d",
    "SubMConv3d",
    "cat",
    "global_pool",
]
