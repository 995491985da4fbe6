"""Shape of a convolution's window, and the order of its offsets."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from sensorfusion.errors import ConfigError

LARGEST = 5
LARGEST_STEP = 2**31 - 1  # of stride, padding and dilation


@dataclass(frozen=True)
class Kernel:
    """Which input cells an output cell sees: input = output * stride - padding + offset * dilation.

    Offsets run from 0 to size - 1 in each axis. They are numbered with the last axis fastest, so
    that a weight [K, C_in, C_out] is `dense.permute(2, 3, 4, 1, 0).flatten(0, 2)` of torch's
    convolution weight [C_out, C_in, k0, k1, k2].

    Args:
        size: offsets per axis. stride, padding, dilation: per axis.
    """

    size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]

    @classmethod
    def of(
        cls,
        axes: int,
        size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | None = None,
        dilation: int | Sequence[int] = 1,
    ) -> Kernel:
        """A kernel from numbers for all axes or one per axis.

        `padding=None` centres kernels of odd size and lets those of even size begin at the
        output cell, as MinkowskiEngine does.

        Raises:
            ConfigError: for a size outside 1 to 5, a stride or dilation outside 1 to 2^31 - 1,
                a padding outside 0 to 2^31 - 1, or another number of axes.
        """
        if axes < 1:
            raise ConfigError(f"a kernel of {axes} axes")
        sizes, strides, dilations = (per_axis(v, axes) for v in (size, stride, dilation))
        centred = tuple((k // 2) * d if k % 2 else 0 for k, d in zip(sizes, dilations, strict=True))
        kernel = cls(
            sizes, strides, centred if padding is None else per_axis(padding, axes), dilations
        )
        if not all(1 <= k <= LARGEST for k in sizes):
            raise ConfigError(f"kernel size {sizes}; sizes from 1 to {LARGEST} are supported")
        if min(strides) < 1 or min(dilations) < 1 or min(kernel.padding) < 0:
            raise ConfigError(f"stride, padding or dilation too small: {kernel}")
        if max(*strides, *dilations, *kernel.padding) > LARGEST_STEP:
            raise ConfigError(f"stride, padding or dilation above {LARGEST_STEP}: {kernel}")
        return kernel

    @property
    def volume(self) -> int:
        """Number of offsets."""
        return math.prod(self.size)

    @property
    def is_symmetric(self) -> bool:
        """Whether offset k and offset volume - 1 - k are opposite steps from the cell itself."""
        reach = (
            2 * p == (k - 1) * d
            for k, p, d in zip(self.size, self.padding, self.dilation, strict=True)
        )
        return all(reach) and set(self.stride) == {1}

    def steps(self) -> Iterator[tuple[int, ...]]:
        """For each offset, in order, the step from output * stride to its input cell."""
        for offset in product(*map(range, self.size)):
            yield tuple(
                o * d - p for o, d, p in zip(offset, self.dilation, self.padding, strict=True)
            )


def per_axis(value: int | Sequence[int], axes: int) -> tuple[int, ...]:
    """One number per axis.

    Raises:
        ConfigError: for a sequence of another length.
    """
    if hasattr(value, "__index__"):
        values = (operator.index(value),) * axes
    else:
        values = tuple(int(v) for v in value)
    if len(values) != axes or axes < 1:
        raise ConfigError(f"{values} for {axes} axes")
    return values
