"""The two instructions that kernels are made of: a small matrix product, and a function of many numbers at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from seqscale.kernels.lanes import INDEX, REGISTER_BYTES, Kind, Lanes, kind_of, load, over, pointer, splat, store

# Sums that a product keeps in registers: half of them, so that the numbers it reads find a place beside.
SUMS = 16 if REGISTER_BYTES == 64 else 8
_CHAINS = 8  # sums that must be under way for a core to be busy: two at once, each of four cycles

Equations = Callable[..., Sequence[Lanes]]


def pointwise(equations: Equations) -> Any:
    """Return numba's instruction that computes some arrays from others, element by element.

    It is called as instruction(n, sources, where, targets, where): tuples of contiguous arrays of one dimension, and
    for each the index of the first of n elements. A source may be a target.

    Args:
        equations: from the numbers of each source to those of each target.
    """

    @intrinsic
    def instruction(typing: Any, n: Any, sources: Any, source_at: Any, targets: Any, target_at: Any) -> Any:
        def code(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
            kind = kind_of(sources[0].dtype, context)

            def places(arrays: Any, given: ir.Value, at: ir.Value) -> list[ir.Value]:
                parts = zip(
                    arrays, cgutils.unpack_tuple(builder, given), cgutils.unpack_tuple(builder, at), strict=True
                )
                return [pointer(context, builder, array, value, index) for array, value, index in parts]

            reads, writes = places(sources, values[1], values[2]), places(targets, values[3], values[4])

            def one(index: ir.Value, mask: ir.Value | None) -> None:
                numbers = [load(builder, kind, builder.gep(place, [index]), mask) for place in reads]
                for result, place in zip(equations(*numbers), writes, strict=True):
                    store(result, builder.gep(place, [index]), mask)

            over(builder, kind, values[0], one)
            return context.get_dummy_value()

        return types.void(types.intp, sources, source_at, targets, target_at), code

    return instruction


copy = pointwise(lambda *numbers: numbers)


def _product(
    typing: Any,
    rows: Any,
    z: Any,
    columns: Any,
    w: Any,
    w_at: Any,
    h: Any,
    h_at: Any,
    of_row: Any,
    of_term: Any,
    k: Any,
) -> Any:
    """Write z = h W for a few rows: z (rows, columns * lanes), h (rows, k), W packed (columns, k, lanes) from w_at on.

    Args:
        typing: numba's.
        rows: a whole number that is known when the kernel is compiled.
        z, w, h: contiguous arrays of one dimension.
        columns: registers in a row of z.
        w_at: where W starts in w.
        h_at: where the first row's first term lies in h.
        of_row, of_term: how far from it the next row's lies, and the next term.
        k: terms of each sum.
    """

    def code(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        kind = kind_of(z.dtype, context)
        _, z_value, count, w_value, first_w, h_value, first_h, of_row, of_term, terms = values
        zero = ir.Constant(INDEX, 0)
        writer = _Product(
            builder,
            kind,
            rows.literal_value,
            z=pointer(context, builder, z, z_value, zero),
            w=pointer(context, builder, w, w_value, first_w),
            h=pointer(context, builder, h, h_value, first_h),
            strides=(of_row, of_term),
            columns=count,
            terms=terms,
        )
        writer.write()
        return context.get_dummy_value()

    places = (types.intp, types.intp, types.intp, types.intp)
    return types.void(rows, z, types.intp, w, types.intp, h, *places), code


product: Any = intrinsic(prefer_literal=True)(_product)


class _Product:
    """Writes one product, as many columns at a time as its sums leave room for."""

    def __init__(
        self,
        builder: ir.IRBuilder,
        kind: Kind,
        rows: int,
        *,
        z: ir.Value,
        w: ir.Value,
        h: ir.Value,
        strides: tuple[ir.Value, ir.Value],
        columns: ir.Value,
        terms: ir.Value,
    ) -> None:
        self._builder, self._kind, self._rows = builder, kind, rows
        self._z, self._w, self._h, self._columns, self._terms = z, w, h, columns, terms
        self._of_row, self._of_term = strides
        name = f"llvm.fmuladd.{kind.suffix}"
        signature = ir.FunctionType(kind.vector, [kind.vector] * 3)
        self._multiply_add = cgutils.get_or_insert_function(builder.module, signature, name)

    def write(self) -> None:
        """Write a loop over the widest panels, then the panels that are left, each half as wide."""
        builder, width = self._builder, max(1, min(_CHAINS, SUMS // self._rows))
        rest = builder.srem(self._columns, _index(width))
        stop = builder.sub(self._columns, rest)
        with cgutils.for_range_slice(builder, _index(0), stop, _index(width), INDEX) as (column, _):
            self._panel(column, width)
        while width > 1:
            width //= 2
            there = builder.icmp_signed("!=", builder.and_(rest, _index(width)), _index(0))
            before = builder.add(stop, builder.and_(rest, _index(-2 * width)))
            with builder.if_then(there):
                self._panel(before, width)

    def _panel(self, column: ir.Value, width: int) -> None:
        """Write the sums of `width` columns; few of them are split into several chains of every n-th term."""
        builder, chains = self._builder, max(1, _CHAINS // (self._rows * width))
        none = [ir.Constant(self._kind.vector, None)] * (self._rows * width)
        whole = builder.mul(builder.sdiv(self._terms, _index(chains)), _index(chains))
        sums = self._loop(_index(0), whole, chains, [list(none) for _ in range(chains)], column, width)
        if chains > 1:
            sums = self._loop(whole, self._terms, 1, sums, column, width)
        step = builder.mul(self._columns, _index(self._kind.lanes))
        for number in range(self._rows * width):
            row, v = divmod(number, width)
            parts = [Lanes(builder, self._kind, chain[number]) for chain in sums]
            while len(parts) > 1:
                parts = [a + b for a, b in zip(parts[::2], parts[1::2], strict=True)]
            at = builder.mul(builder.add(column, _index(v)), _index(self._kind.lanes))
            store(parts[0], builder.gep(self._z, [builder.add(builder.mul(_index(row), step), at)]))

    def _loop(
        self,
        start: ir.Value,
        stop: ir.Value,
        chains: int,
        sums: list[list[ir.Value]],
        column: ir.Value,
        width: int,
    ) -> list[list[ir.Value]]:
        """Write a loop over terms, one for each of `chains`, whose sums stay in registers."""
        builder, before = self._builder, self._builder.block
        head, body, after = (builder.append_basic_block(name) for name in ("terms", "term", "summed"))
        builder.branch(head)
        builder.position_at_end(head)
        term = builder.phi(INDEX)
        term.add_incoming(start, before)
        held = [[builder.phi(self._kind.vector) for _ in chain] for chain in sums]
        for phis, values in zip(held, sums, strict=True):
            for phi, value in zip(phis, values, strict=True):
                phi.add_incoming(value, before)
        builder.cbranch(builder.icmp_signed("<", term, stop), body, after)
        builder.position_at_end(body)
        for chain in range(chains):
            added = self._term(builder.add(term, _index(chain)), held[chain], column, width)
            for phi, value in zip(held[chain], added, strict=True):
                phi.add_incoming(value, builder.block)
        for phi in (phi for phis in held[chains:] for phi in phis):
            phi.add_incoming(phi, builder.block)
        term.add_incoming(builder.add(term, _index(chains)), builder.block)
        builder.branch(head)
        builder.position_at_end(after)
        return [list(phis) for phis in held]

    def _term(self, term: ir.Value, sums: Sequence[ir.Value], column: ir.Value, width: int) -> list[ir.Value]:
        """Write sums + h[:, term] W[term, :]."""
        builder, lanes = self._builder, _index(self._kind.lanes)
        weights = []
        for v in range(width):
            at = builder.add(builder.mul(builder.add(column, _index(v)), self._terms), term)
            weights.append(load(builder, self._kind, builder.gep(self._w, [builder.mul(at, lanes)])).value)
        added = []
        for row in range(self._rows):
            at = builder.add(builder.mul(_index(row), self._of_row), builder.mul(term, self._of_term))
            number = splat(builder, self._kind.vector, builder.load(builder.gep(self._h, [at])))
            own = sums[row * width : (row + 1) * width]
            added += [builder.call(self._multiply_add, [number, w, s]) for w, s in zip(weights, own, strict=True)]
        return added


def _index(number: int) -> ir.Constant:
    return ir.Constant(INDEX, number)
