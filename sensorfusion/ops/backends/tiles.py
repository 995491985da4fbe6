"""Products of gathered rows, held in vector registers: the kernels of the CPU backend.

Numba turns Python into machine code one scalar at a time and leaves it to LLVM to find vectors,
which fails for a block of accumulators. So the two inner loops are written in LLVM's own vectors:
each keeps a block of `ROWS` x `lanes(dtype)` sums in registers, reads rows where they lie and
adds the block to the result once. LLVM splits the vectors into what the processor has.

They take C-contiguous arrays of one floating dtype and int32 row numbers; nothing checks bounds.
The kernels stand in the same file, because Numba's cache on disk looks at no other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import types
from numba.core import cgutils, codegen
from numba.extending import intrinsic
from numpy.typing import NDArray

from sensorfusion.compiled import compiled

# Numba's own copy of llvmlite, whose version goes with it.
ir: Any = cgutils.ir  # type: ignore[attr-defined]
llvm: Any = codegen.ll  # type: ignore[attr-defined]

Array = NDArray[Any]
ROWS = 6
# Pairs that are worked off for all columns before the next ones: their rows stay in the L1 cache.
MULTIPLY_CHUNK = 4 * ROWS
OUTER_CHUNK = 48
INT = ir.IntType(64)


def _vector_bytes() -> int:
    """Two registers wide: with `ROWS` rows enough sums in flight, and not too many to hold."""
    try:
        has_wide = llvm.get_host_cpu_features().get("avx512f", False)
    except RuntimeError:
        has_wide = False
    return 128 if has_wide else 64


VECTOR_BYTES = _vector_bytes()


def lanes(dtype: np.dtype[Any]) -> int:
    """Numbers per vector."""
    return VECTOR_BYTES // dtype.itemsize


def _multiply_rows(
    _: Any,
    rows: Any,
    row_numbers: Any,
    panel: Any,
    panel_start: Any,
    out: Any,
    out_numbers: Any,
    column: Any,
    first: Any,
    last: Any,
) -> Any:
    """Add to columns of some rows of `out` the product of rows and a panel of a weight.

    For up to `ROWS` positions p from first, below last:
    out[out_numbers[p], column + l] += sum_c rows[row_numbers[p], c] panel[panel_start + c L + l].
    """
    arguments = (rows, row_numbers, panel, panel_start, out, out_numbers, column, first, last)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        block = _Block(context, builder, signature, values)
        inputs, depth = block.array(0)
        outputs, width = block.array(4)
        inside = [block.clamped(r) for r in range(ROWS)]
        sources = [block.row(inputs, depth, block.number(1, p)) for p in inside]
        panel_data = builder.gep(block.array_of_numbers(2), [values[3]])

        def step(c: Any, sums: list[Any]) -> list[Any]:
            weights = block.load_vector(builder.gep(panel_data, [block.times_lanes(c)]))
            return [
                block.fused(block.splat(builder.load(builder.gep(source, [c]))), weights, total)
                for source, total in zip(sources, sums, strict=True)
            ]

        sums = block.accumulate(block.zero, depth, step)
        for r, total in enumerate(sums):
            with builder.if_then(block.is_inside(r)):
                target = block.row(outputs, width, block.number(5, inside[r]))
                block.add_to(builder.gep(target, [values[6]]), total)
        return context.get_dummy_value()

    return types.void(*arguments), generate


def _outer_rows(
    _: Any,
    rows: Any,
    row_numbers: Any,
    gradients: Any,
    gradient_numbers: Any,
    column: Any,
    start: Any,
    stop: Any,
    out: Any,
    base: Any,
    first: Any,
    fresh: Any,
) -> Any:
    """Add a sum of outer products to rows of `out`.

    For the `ROWS` channels c from first, those before fresh left out, over positions p from
    start, below stop:
    out[base + c, column + l] += rows[row_numbers[p], c] gradients[gradient_numbers[p], column + l].
    """
    arguments = (rows, row_numbers, gradients, gradient_numbers, column, start, stop, out)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        block = _Block(context, builder, signature, values)
        inputs, depth = block.array(0)
        gradient_data, width = block.array(2)
        outputs, out_width = block.array(7)
        column, start, stop = values[4:7]
        base, first, fresh = values[8:]
        first_input = builder.gep(inputs, [first])
        gradient_column = builder.gep(gradient_data, [column])

        def step(p: Any, sums: list[Any]) -> list[Any]:
            source = block.row(first_input, depth, block.number(1, p))
            gradient = block.row(gradient_column, width, block.number(3, p))
            vector = block.load_vector(gradient)
            return [
                block.fused(block.splat(block.load(source, r)), vector, total)
                for r, total in enumerate(sums)
            ]

        for r, total in enumerate(block.accumulate(start, stop, step)):
            channel = builder.add(first, ir.Constant(INT, r))
            with builder.if_then(builder.icmp_signed(">=", channel, fresh)):
                target = block.row(outputs, out_width, builder.add(base, channel))
                block.add_to(builder.gep(target, [column]), total)
        return context.get_dummy_value()

    return types.void(*arguments, base, first, fresh), generate


class _Block:
    """LLVM instructions for a block of sums over rows from `first`, below `last`."""

    def __init__(self, context: Any, builder: Any, signature: Any, values: Any) -> None:
        self.context, self.builder = context, builder
        self.types, self.values = signature.args, values
        scalar = signature.args[0].dtype
        self.bytes = scalar.bitwidth // 8
        self.lanes = VECTOR_BYTES // self.bytes
        self.vector = ir.VectorType(context.get_value_type(scalar), self.lanes)
        self.zero = ir.Constant(INT, 0)
        self.first, self.last = values[-2:]

    def array(self, argument: int) -> tuple[Any, Any]:
        """Address of the first number, and numbers per row, of an array with two axes."""
        make = self.context.make_array(self.types[argument])
        array = make(self.context, self.builder, self.values[argument])
        shape: Any = cgutils.unpack_tuple(self.builder, array.shape)  # type: ignore[no-untyped-call]
        return array.data, shape[1]

    def array_of_numbers(self, argument: int) -> Any:
        """Address of the first number of an array with one axis."""
        make = self.context.make_array(self.types[argument])
        return make(self.context, self.builder, self.values[argument]).data

    def number(self, argument: int, position: Any) -> Any:
        """The row number at a position of a list."""
        address = self.builder.gep(self.array_of_numbers(argument), [position])
        return self.builder.sext(self.builder.load(address), INT)

    def row(self, data: Any, width: Any, number: Any) -> Any:
        """Address of a row."""
        return self.builder.gep(data, [self.builder.mul(number, width)])

    def is_inside(self, r: int) -> Any:
        """Whether row r of the block lies before the last one."""
        at = self.builder.add(self.first, ir.Constant(INT, r))
        return self.builder.icmp_signed("<", at, self.last)

    def clamped(self, r: int) -> Any:
        """Position of row r of the block, or of the last one there is."""
        at = self.builder.add(self.first, ir.Constant(INT, r))
        final = self.builder.sub(self.last, ir.Constant(INT, 1))
        return self.builder.select(self.is_inside(r), at, final)

    def load(self, address: Any, offset: int) -> Any:
        """The number `offset` places after an address."""
        return self.builder.load(self.builder.gep(address, [ir.Constant(INT, offset)]))

    def times_lanes(self, count: Any) -> Any:
        return self.builder.mul(count, ir.Constant(INT, self.lanes))

    def load_vector(self, address: Any) -> Any:
        """A vector from anywhere in memory."""
        pointer = self.builder.bitcast(address, self.vector.as_pointer())
        return self.builder.load(pointer, align=self.bytes)

    def add_to(self, address: Any, vector: Any) -> None:
        """Add a vector to what lies in memory."""
        pointer = self.builder.bitcast(address, self.vector.as_pointer())
        before = self.builder.load(pointer, align=self.bytes)
        self.builder.store(self.builder.fadd(before, vector), pointer, align=self.bytes)

    def splat(self, scalar: Any) -> Any:
        """A vector of one number."""
        empty = ir.Constant(self.vector, ir.Undefined)
        lane = ir.IntType(32)
        one = self.builder.insert_element(empty, scalar, ir.Constant(lane, 0))
        pick = ir.Constant(ir.VectorType(lane, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(one, empty, pick)

    def fused(self, a: Any, b: Any, total: Any) -> Any:
        """A * b + total, in one instruction where there is one."""
        product = self.builder.fmul(a, b, flags=("contract",))
        return self.builder.fadd(product, total, flags=("contract",))

    def accumulate(
        self, start: Any, stop: Any, step: Callable[[Any, list[Any]], list[Any]]
    ) -> list[Any]:
        """Sums after a loop from start below stop that begins with zeros."""
        builder = self.builder
        zeros = [ir.Constant(self.vector, [0.0] * self.lanes)] * ROWS
        before = builder.block
        body, after = builder.append_basic_block("body"), builder.append_basic_block("after")
        builder.cbranch(builder.icmp_signed("<", start, stop), body, after)
        builder.position_at_end(body)
        index = builder.phi(INT)
        sums = [builder.phi(self.vector) for _ in range(ROWS)]
        grown = step(index, sums)
        following = builder.add(index, ir.Constant(INT, 1))
        end = builder.block
        builder.cbranch(builder.icmp_signed("<", following, stop), body, after)
        builder.position_at_end(after)
        results = [builder.phi(self.vector) for _ in range(ROWS)]
        index.add_incoming(start, before)
        index.add_incoming(following, end)
        for total, zero, more, result in zip(sums, zeros, grown, results, strict=True):
            total.add_incoming(zero, before)
            total.add_incoming(more, end)
            result.add_incoming(zero, before)
            result.add_incoming(more, end)
        return results


multiply_rows: Any = intrinsic(_multiply_rows)
outer_rows: Any = intrinsic(_outer_rows)


@compiled()
def add_products(
    features_NI: Array,
    panels: Array,
    in_rows_P: Array,
    out_rows_P: Array,
    tiles_TK: Array,
    width: int,
    out_MX: Array,
) -> None:
    """The kernel of `products.products`; out_MX has whole vectors of columns."""
    channels, columns = features_NI.shape[1], out_MX.shape[1]
    for tile in numba.prange(tiles_TK.shape[0] - 1):
        for k in range(tiles_TK.shape[1]):
            last = tiles_TK[tile + 1, k]
            for start in range(tiles_TK[tile, k], last, MULTIPLY_CHUNK):
                stop = min(start + MULTIPLY_CHUNK, last)
                for column in range(0, columns, width):
                    panel = (k * columns + column) * channels
                    for p in range(start, stop, ROWS):
                        multiply_rows(
                            features_NI,
                            in_rows_P,
                            panels,
                            panel,
                            out_MX,
                            out_rows_P,
                            column,
                            p,
                            stop,
                        )


@compiled()
def add_outer_products(
    features_NI: Array,
    gradient_MX: Array,
    in_rows_P: Array,
    out_rows_P: Array,
    tiles_TK: Array,
    width: int,
    parts: int,
    out_QX: Array,
) -> None:
    """The kernel of `products.outer_products`; there are at least `ROWS` channels."""
    channels, columns = features_NI.shape[1], out_QX.shape[1]
    blocks = (channels + ROWS - 1) // ROWS
    cuts = min(parts, blocks)
    groups = min((parts + cuts - 1) // cuts, tiles_TK.shape[1])
    for part in numba.prange(cuts * groups):
        cut, group = part // groups, part % groups
        low = blocks * cut // cuts * ROWS
        high = min(blocks * (cut + 1) // cuts * ROWS, channels)
        for tile in range(tiles_TK.shape[0] - 1):
            for k in range(group, tiles_TK.shape[1], groups):
                last = tiles_TK[tile + 1, k]
                for start in range(tiles_TK[tile, k], last, OUTER_CHUNK):
                    stop = min(start + OUTER_CHUNK, last)
                    for c in range(low, high, ROWS):
                        for column in range(0, columns, width):
                            outer_rows(
                                features_NI,
                                in_rows_P,
                                gradient_MX,
                                out_rows_P,
                                column,
                                start,
                                stop,
                                out_QX,
                                k * channels,
                                min(c, channels - ROWS),
                                c,
                            )
