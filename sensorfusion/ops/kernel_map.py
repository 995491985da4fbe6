"""Which input site meets which output site at each offset of a kernel."""

from __future__ import annotations

from functools import cached_property

from sensorfusion.ops.kernel import Kernel
from sensorfusion.ops.pair_search import find_pairs
from sensorfusion.ops.pairs import PairLists
from sensorfusion.ops.sites import Sites


class KernelMap:
    """The connections of a convolution between two sets of sites; pairs are found when asked for.

    Args:
        inputs, outputs: sites of the input and of the output. kernel: the convolution's window.
        inverse_of: for an inverse convolution, the map of the convolution that it is paired with.
    """

    def __init__(
        self, inputs: Sites, outputs: Sites, kernel: Kernel, inverse_of: KernelMap | None = None
    ) -> None:
        self.inputs, self.outputs, self.kernel = inputs, outputs, kernel
        self.inverse_of = inverse_of

    @cached_property
    def pairs(self) -> PairLists:
        """Pairs of rows per offset."""
        if self.inverse_of is not None:
            return self.inverse_of.pairs.swapped
        return find_pairs(self.inputs, self.outputs, self.kernel)

    def inverse(self) -> KernelMap:
        """The map of the inverse convolution: out[o * stride - padding + k] += W[k] in[o]."""
        return KernelMap(self.outputs, self.inputs, self.kernel, inverse_of=self)
