"""How each public function and layer of sparse convolution is tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sensorfusion import ops
from sensorfusion.errors import DataError
from sensorfusion.ops import functional, kernel, pooling, sites, weights
from sensorfusion.ops.backends import backend_for
from sensorfusion.ops.tensor import SparseTensor
from tests.fuzz.cases import Arguments, Case, finite_as_before
from tests.ops.clouds import cloud

INSIDE = "works on what `SparseTensor` and `Kernel.of` have checked"
WITHOUT = {
    "backends.backend": "a protocol",
    "backends.cpu": INSIDE,
    "backends.default_name": "takes a device alone",
    "backends.gather": INSIDE,
    "backends.obstacles": "takes a device alone",
    "backends.products": INSIDE,
    "backends.reference": "the oracle; " + INSIDE,
    "backends.spconv": INSIDE,
    "backends.tiles": INSIDE,
    "downsample": INSIDE,
    "kernel_map": INSIDE,
    "levels": INSIDE,
    "packing": INSIDE,
    "pair_search": INSIDE,
    "pairs": INSIDE,
    "sites.Sites": "made by `checked_sites`",
    "sites.coordinate_bounds": INSIDE,
    "threads": "takes no argument",
}
AXES = 3
Call = Callable[..., Any]


def tensor_arguments(rng: np.random.Generator, channels: int = 4) -> Arguments:
    coordinates = cloud(int(rng.choice([0, 1, 30])), AXES, extent=7, seed=int(rng.integers(999)))
    features = torch.from_numpy(rng.normal(size=(len(coordinates), channels)).astype(np.float32))
    return {"coordinates_NX": coordinates, "features_NC": features, "batch_size": 3}


def bounded_arguments(rng: np.random.Generator) -> Arguments:
    arguments = tensor_arguments(rng)
    arguments["coordinates_NX"][:, 1:] += 4
    return arguments | {"stride": (2, 2, 2), "spatial_shape": (9, 9, 9)}


def weight_of(rng: np.random.Generator, size: int) -> Tensor:
    return torch.from_numpy(rng.normal(size=(size**AXES, 4, 5)).astype(np.float32))


def convolution_arguments(size: int, **settings: Any) -> Callable[..., Arguments]:
    return lambda rng: {
        **tensor_arguments(rng),
        "weight_KIO": weight_of(rng, size),
        "bias_O": torch.from_numpy(rng.normal(size=5).astype(np.float32)),
        "kernel_size": (size,) * AXES,
        "backend": "cpu",
        **settings,
    }


def tensor_of(arguments: Arguments) -> SparseTensor:
    names = ("coordinates_NX", "features_NC", "batch_size", "stride", "spatial_shape")
    # The stride of a layer is no stride of the tensor.
    given = {name: arguments.pop(name) for name in names[:3]}
    if "spatial_shape" in arguments:
        given |= {name: arguments.pop(name) for name in names[3:]}
    return SparseTensor(**given)


def convolved(function: Call) -> Call:
    def call(weight_KIO: Tensor, bias_O: Tensor, **arguments: Any) -> SparseTensor:
        weight_KIO = weight_KIO.clone().requires_grad_(weight_KIO.is_floating_point())
        found = function(tensor_of(arguments), weight_KIO, bias_O, **arguments)
        if found.features.requires_grad:
            found.features.sum().backward()
        return found

    return call


def inverse(weight_KIO: Tensor, bias_O: Tensor, **arguments: Any) -> SparseTensor:
    tensor = tensor_of(arguments)
    coarse = ops.MeanPool(2, 2)(tensor)
    found = functional.inverse_convolution(coarse, weight_KIO, bias_O, **arguments)
    assert found.coordinates is tensor.coordinates
    return found


def as_by_reference(function: Call) -> Callable[[Arguments, SparseTensor], None]:
    def verify(arguments: Arguments, found: SparseTensor) -> None:
        try:
            expected = function(**arguments | {"backend": "reference"})
        except DataError:  # a grid of too many cells
            expected = function(**arguments | {"backend": "torch"})
        assert found.features.dtype == expected.features.dtype
        assert torch.equal(found.coordinates, expected.coordinates)
        coarse = found.features.dtype.itemsize < 4
        # A dense convolution multiplies NaN and infinity by zeros of cells that are empty.
        if bool(torch.isfinite(expected.features).all()):
            torch.testing.assert_close(
                found.features,
                expected.features,
                rtol=5e-2 if coarse else 1e-3,
                atol=5e-2 if coarse else 1e-3,
            )

    return verify


def mapped(features_NI: Tensor, weight_KIO: Tensor, bias_O: Tensor, backend: str = "cpu") -> Tensor:
    coordinates = cloud(30, AXES, extent=7, seed=7)
    tensor = SparseTensor(coordinates, torch.zeros(len(coordinates), 4))
    kernel_map = tensor.levels.submanifold((), kernel.Kernel.of(AXES, 3))
    return functional.convolve(features_NI, weight_KIO, kernel_map, bias_O, backend)


def as_mapped_by_reference(arguments: Arguments, found: Tensor) -> None:
    finite_as_before(arguments, found)
    expected = mapped(**arguments, backend="reference")
    if bool(torch.isfinite(expected).all()):
        torch.testing.assert_close(found, expected, rtol=5e-2, atol=5e-2)


def map_arguments(rng: np.random.Generator) -> Arguments:
    rows = len(cloud(30, AXES, extent=7, seed=7))
    return {
        "features_NI": torch.from_numpy(rng.normal(size=(rows, 4)).astype(np.float32)),
        "weight_KIO": weight_of(rng, 3),
        "bias_O": torch.from_numpy(rng.normal(size=5).astype(np.float32)),
    }


def layer(kind: type[nn.Module], axes: int = AXES, inverts: bool = False) -> Case:
    """Builds a layer and applies it; strided ones by 2."""

    def call(in_channels: int, out_channels: int, kernel_size: Any, **arguments: Any) -> Any:
        tensor = tensor_of(arguments)
        module = kind(in_channels, out_channels, kernel_size, bias=True, **arguments)
        return module(ops.MaxPool(2, 2)(tensor) if inverts else tensor)

    def sound(rng: np.random.Generator) -> Arguments:
        arguments = tensor_arguments(rng)
        if axes == 2:
            # Cells above each other become one site.
            flat = torch.unique(arguments["coordinates_NX"][:, :3], dim=0)
            features = arguments["features_NC"][: len(flat)]
            arguments |= {"coordinates_NX": flat, "features_NC": features}
        extra = {"dilation": (1,) * axes} if "SubM" in kind.__name__ else {"stride": (2,) * axes}
        if kind.__name__.startswith("SparseConv"):
            extra["output_sites"] = "floor"
        size = (3 if "SubM" in kind.__name__ else 2,) * axes
        return {
            **arguments,
            "in_channels": 4,
            "out_channels": 5,
            "kernel_size": size,
            "backend": "cpu",
            **extra,
        }

    return Case(call, sound)


def module(build: Call) -> Case:
    """Builds a module from numbers and applies it."""

    def call(coordinates_NX: Tensor, features_NC: Tensor, batch_size: int, **settings: Any) -> Any:
        return build(**settings)(SparseTensor(coordinates_NX, features_NC, batch_size=batch_size))

    return Case(call, tensor_arguments)


def norm(channels: int, eps: float, momentum: float, **tensor: Any) -> SparseTensor:
    return ops.BatchNorm(channels, eps, momentum)(SparseTensor(**tensor))


def pooled(reduction: str, **arguments: Any) -> SparseTensor:
    return pooling.pool(tensor_of(arguments), reduction, **arguments)


def pool_arguments(rng: np.random.Generator) -> Arguments:
    return {
        **tensor_arguments(rng),
        "reduction": "max",
        "kernel_size": (2,) * AXES,
        "stride": (2,) * AXES,
        "padding": (0,) * AXES,
        "output_sites": "floor",
    }


def joined(one_NC: Tensor, other_NC: Tensor) -> SparseTensor:
    tensor = SparseTensor(cloud(30, seed=1), torch.zeros(len(cloud(30, seed=1)), 2))
    return ops.cat([tensor.replace(one_NC), tensor.replace(other_NC)])


def round_trip(layout: str) -> Case:
    def call(weight_KIO: Tensor, layout: str, kernel_size: tuple[int, ...]) -> Tensor:
        theirs = weights.to_layout(weight_KIO, layout, kernel_size)
        return weights.from_layout(theirs, layout, kernel_size)

    def verify(arguments: Arguments, found: Tensor) -> None:
        torch.testing.assert_close(found, arguments["weight_KIO"], equal_nan=True, rtol=0, atol=0)

    return Case(
        call,
        lambda rng: {
            "weight_KIO": weight_of(rng, 2),
            "layout": layout,
            "kernel_size": (2, 2, 2),
        },
        verify,
    )


def foreign_arguments(rng: np.random.Generator) -> Arguments:
    shape = (4, 5, 2, 2, 2)
    weight = torch.from_numpy(rng.normal(size=shape).astype(np.float32))
    return {"weight": weight, "layout": "dense", "kernel_size": (2, 2, 2)}


def dense(**arguments: Any) -> Tensor:
    return tensor_of(arguments).dense()


def dense_of_all(arguments: Arguments, found: Tensor) -> None:
    finite_as_before(arguments, found)
    expected = arguments["features_NC"].double().sum()
    if bool(torch.isfinite(expected)) and float(expected.abs()) < 1e6:
        torch.testing.assert_close(found.double().sum(), expected, rtol=1e-2, atol=1e-2)


SUBMANIFOLD = convolved(functional.submanifold_convolution)
STRIDED = convolved(functional.sparse_convolution)
CASES = {
    "backends.backend_for": Case(
        lambda name: backend_for(torch.device("cpu"), name), lambda rng: {"name": "reference"}
    ),
    "functional.convolve": Case(mapped, map_arguments, as_mapped_by_reference),
    "functional.inverse_convolution": Case(
        inverse,
        convolution_arguments(2, stride=(2, 2, 2), padding=(0, 0, 0)),
        as_by_reference(inverse),
    ),
    "functional.sparse_convolution": Case(
        STRIDED,
        convolution_arguments(3, stride=(2, 2, 2), padding=(1, 1, 1), output_sites="touched"),
        as_by_reference(STRIDED),
    ),
    "functional.submanifold_convolution": Case(
        SUBMANIFOLD, convolution_arguments(3, dilation=(1, 2, 1)), as_by_reference(SUBMANIFOLD)
    ),
    "kernel.Kernel": Case(
        kernel.Kernel.of,
        lambda rng: {
            "axes": AXES,
            "size": (3, 2, 3),
            "stride": (1, 2, 1),
            "padding": (1, 0, 1),
            "dilation": (1, 1, 2),
        },
    ),
    "kernel.per_axis": Case(kernel.per_axis, lambda rng: {"value": (3, 2, 3), "axes": AXES}),
    "layers.SubMConv3d": layer(ops.SubMConv3d),
    "layers.SubMConv2d": layer(ops.SubMConv2d, axes=2),
    "layers.SparseConv3d": layer(ops.SparseConv3d),
    "layers.SparseConv2d": layer(ops.SparseConv2d, axes=2),
    "layers.SparseInverseConv3d": layer(ops.SparseInverseConv3d, inverts=True),
    "layers.SparseInverseConv2d": layer(ops.SparseInverseConv2d, axes=2, inverts=True),
    "per_site.BatchNorm": Case(
        norm, lambda rng: {**tensor_arguments(rng), "channels": 4, "eps": 1e-5, "momentum": 0.1}
    ),
    "per_site.PerSite": module(lambda: ops.PerSite(nn.Tanh())),
    "per_site.ReLU": module(lambda: ops.ReLU()),
    "pooling.MaxPool": module(lambda: ops.MaxPool()),
    "pooling.MeanPool": module(lambda: ops.MeanPool()),
    "pooling.global_pool": Case(
        lambda reduction, **tensor: ops.global_pool(SparseTensor(**tensor), reduction),
        lambda rng: {**tensor_arguments(rng), "reduction": "mean"},
    ),
    "pooling.pool": Case(pooled, pool_arguments),
    "sites.checked_sites": Case(
        sites.checked_sites,
        lambda rng: {k: v for k, v in bounded_arguments(rng).items() if k != "features_NC"},
    ),
    "tensor.SparseTensor": Case(dense, bounded_arguments, dense_of_all),
    "tensor.SparseTensor unbounded": Case(
        dense,
        tensor_arguments,
        dense_of_all,
        spare={("coordinates_NX", "torch.uint8"): "wraps to a field of a GiB"},
    ),
    "tensor.cat": Case(
        joined,
        lambda rng: {
            name: torch.from_numpy(rng.normal(size=(len(cloud(30, seed=1)), 3)).astype(np.float32))
            for name in ("one_NC", "other_NC")
        },
    ),
    "weights.from_layout": Case(weights.from_layout, foreign_arguments),
    **{
        f"weights.to_layout {layout}": round_trip(layout)
        for layout in ("minkowski", "torchsparse", "spconv1", "spconv2", "dense")
    },
}
