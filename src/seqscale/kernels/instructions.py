"""The instructions that kernels are made of: small matrix products, and a function of many numbers at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from seqscale.kernels.lanes import INDEX, REGISTER_BYTES, Kind, Lanes, kind_of, load, over, pointer, splat, store, turn

# Sums that a product keeps in registers: half of them, so that the numbers it reads find a place beside.
SUMS = 16 if REGISTER_BYTES == 64 else 8
_CHAINS = 8  # sums that must be under way for a core to be busy: two at once, each of four cycles

Equations = Callable[..., Sequence[Lanes]]


def pointwise(equations: Equations) -> Any:
    """Return numba's instruction that computes some arrays from others, element by element.

    It is called as instruction(n, sources, where, targets, where): tuples of contiguous arrays of one dimension, and
    for each the index of the first of n elements. A source may be a target, or one number for all elements.

    Args:
        equations: from the numbers of each source to those of each target.
    """

    @intrinsic
    def instruction(typing: Any, n: Any, sources: Any, source_at: Any, targets: Any, target_at: Any) -> Any:
        def code(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
            dtype = targets[0].dtype
            kind = kind_of(dtype, context)

            def places(arrays: Any, given: ir.Value, at: ir.Value) -> list[ir.Value | Lanes]:
                parts = zip(
                    arrays, cgutils.unpack_tuple(builder, given), cgutils.unpack_tuple(builder, at), strict=True
                )
                return [
                    Lanes(builder, kind, splat(builder, kind.vector, value))
                    if array == dtype
                    else pointer(context, builder, array, value, index)
                    for array, value, index in parts
                ]

            reads, writes = places(sources, values[1], values[2]), places(targets, values[3], values[4])

            def one(index: ir.Value, mask: ir.Value | None) -> None:
                numbers = [
                    place if isinstance(place, Lanes) else load(builder, kind, builder.gep(place, [index]), mask)
                    for place in reads
                ]
                for result, place in zip(equations(*numbers), writes, strict=True):
                    store(result, builder.gep(place, [index]), mask)

            over(builder, kind, values[0], one)
            return context.get_dummy_value()

        return types.void(types.intp, sources, source_at, targets, target_at), code

    return instruction


copy = pointwise(lambda *numbers: numbers)


def _transpose(typing: Any, z: Any, z_row: Any, x: Any, x_row: Any, rows: Any, columns: Any) -> Any:
    """Write z = x^T, x having so many rows and columns, both whole registers; and how far two rows lie apart."""

    def code(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        kind, zero = kind_of(z.dtype, context), _index(0)
        z_value, next_z, x_value, next_x, height, breadth = values
        lanes, one = _index(kind.lanes), _index(1)
        target = _Table(builder, pointer(context, builder, z, z_value, zero), next_z, one)
        source = _Table(builder, pointer(context, builder, x, x_value, zero), next_x, one)
        with (
            cgutils.for_range_slice(builder, zero, height, lanes, INDEX) as (row, _),
            cgutils.for_range_slice(builder, zero, breadth, lanes, INDEX) as (column, _),
        ):
            square = [load(builder, kind, source.at(builder.add(row, _index(i)), column)) for i in range(kind.lanes)]
            for i, turned in enumerate(turn(square)):
                store(turned, target.at(builder.add(column, _index(i)), row))
        return context.get_dummy_value()

    return types.void(z, types.intp, x, types.intp, types.intp, types.intp), code


transpose: Any = intrinsic(_transpose)


def _product(
    typing: Any, rows: Any, z: Any, columns: Any, w: Any, w_at: Any, h: Any, h_at: Any, h_row: Any, h_term: Any, k: Any
) -> Any:  # fmt: skip
    """Write z = h W for a few rows: z (rows, columns * lanes), h (rows, k), W packed (columns, k, lanes) from w_at on.

    Args:
        typing: numba's.
        rows: a whole number that is known when the kernel is compiled.
        z, w, h: contiguous arrays of one dimension.
        columns: registers in a row of z.
        w_at: where W starts in w.
        h_at: where the first row's first term lies in h.
        h_row, h_term: how far the next row's lies from it, and the next term.
        k: terms of each sum.
    """

    def code(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        kind = kind_of(z.dtype, context)
        _, z_value, count, w_value, first_w, h_value, first_h, next_h, term_h, terms = values
        zero, lanes = _index(0), _index(kind.lanes)
        _Product(
            builder,
            kind,
            rows.literal_value,
            z=_Table(builder, pointer(context, builder, z, z_value, zero), builder.mul(count, lanes), lanes),
            w=_Table(builder, pointer(context, builder, w, w_value, first_w), lanes, builder.mul(terms, lanes)),
            h=_Table(builder, pointer(context, builder, h, h_value, first_h), next_h, term_h),
        ).write(count, _index(0), terms)
        return context.get_dummy_value()

    n = types.intp
    return types.void(rows, z, n, w, n, h, n, n, n, n), code


product: Any = intrinsic(prefer_literal=True)(_product)


def tile(corner: str | None = None) -> Any:
    """Return numba's instruction z += h W for a few rows of z, all of them matrices with rows anywhere in an array.

    It is called as instruction(rows, z, z at, z's next row, h, h at, h's next row, h's next term, w, w's next row,
    columns, start, stop, edge): `rows` is known when the kernel is compiled; the sums are over terms start <= i < stop,
    term i being row i of W. Rows of z and W are filled up to `columns` registers.

    Args:
        corner: the terms from `edge` on, one for each row of z, are added beside those, to some of the rows, so that of
            h a triangle alone is read: "lower", term i to rows i and after; "upper", to row i and before. "solve lower"
            and "solve upper" leave out row i itself and take it, finished, for row i of W: a step of substitution.
    """

    def instruction(
        typing: Any, rows: Any, z: Any, z_at: Any, z_row: Any, h: Any, h_at: Any, h_row: Any, h_term: Any, w: Any,
        w_row: Any, columns: Any, start: Any, stop: Any, edge: Any,
    ) -> Any:  # fmt: skip
        def code(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
            kind = kind_of(z.dtype, context)
            lanes = _index(kind.lanes)
            _, z_value, at_z, next_z, h_value, at_h, next_h, term_h, w_value, next_w, count, first, last, at_edge = (
                values
            )
            _Product(
                builder,
                kind,
                rows.literal_value,
                z=_Table(builder, pointer(context, builder, z, z_value, at_z), next_z, lanes),
                w=_Table(builder, pointer(context, builder, w, w_value, _index(0)), next_w, lanes),
                h=_Table(builder, pointer(context, builder, h, h_value, at_h), next_h, term_h),
                adding=True,
                corner=None if corner is None else (corner, at_edge),
            ).write(count, first, last)
            return context.get_dummy_value()

        n = types.intp
        return types.void(rows, z, n, n, h, n, n, n, w, n, n, n, n, n), code

    return intrinsic(prefer_literal=True)(instruction)


@dataclass(frozen=True, slots=True)
class _Table:
    """A matrix in an array: where it starts, and how far two of its rows and two of its columns lie apart."""

    builder: ir.IRBuilder
    start: ir.Value
    down: ir.Value
    along: ir.Value

    def at(self, row: ir.Value, column: ir.Value) -> ir.Value:
        """Return where an element lies."""
        builder = self.builder
        return builder.gep(self.start, [builder.add(builder.mul(row, self.down), builder.mul(column, self.along))])


class _Product:
    """Writes one product, as many columns at a time as its sums leave room for."""

    def __init__(
        self,
        builder: ir.IRBuilder,
        kind: Kind,
        rows: int,
        *,
        z: _Table,
        w: _Table,
        h: _Table,
        adding: bool = False,
        corner: tuple[str, ir.Value] | None = None,
    ) -> None:
        self._builder, self._kind, self._rows = builder, kind, rows
        self._z, self._w, self._h, self._adding, self._corner = z, w, h, adding, corner
        name = f"llvm.fmuladd.{kind.suffix}"
        signature = ir.FunctionType(kind.vector, [kind.vector] * 3)
        self._multiply_add = cgutils.get_or_insert_function(builder.module, signature, name)

    def write(self, columns: ir.Value, start: ir.Value, stop: ir.Value) -> None:
        """Write a loop over the widest panels, then the panels that are left, each half as wide."""
        builder, width = self._builder, max(1, min(_CHAINS, SUMS // self._rows))
        rest = builder.srem(columns, _index(width))
        whole = builder.sub(columns, rest)
        with cgutils.for_range_slice(builder, _index(0), whole, _index(width), INDEX) as (column, _):
            self._panel(column, width, start, stop)
        while width > 1:
            width //= 2
            there = builder.icmp_signed("!=", builder.and_(rest, _index(width)), _index(0))
            before = builder.add(whole, builder.and_(rest, _index(-2 * width)))
            with builder.if_then(there):
                self._panel(before, width, start, stop)

    def _panel(self, column: ir.Value, width: int, start: ir.Value, stop: ir.Value) -> None:
        """Write the sums of `width` columns; few of them are split into several chains of every n-th term.

        Sums that are added to what is there are one chain, so that their order is that of the terms in any panel.
        """
        builder, chains = self._builder, 1 if self._adding else max(1, _CHAINS // (self._rows * width))
        places = [
            self._z.at(_index(row), builder.add(column, _index(v))) for row in range(self._rows) for v in range(width)
        ]
        none = [ir.Constant(self._kind.vector, None)] * (self._rows * width)
        first = [load(builder, self._kind, place).value for place in places] if self._adding else none
        whole = builder.mul(builder.sdiv(stop, _index(chains)), _index(chains))
        sums = self._loop(start, whole, chains, [first, *[list(none) for _ in range(chains - 1)]], column, width)
        if chains > 1:
            sums = self._loop(whole, stop, 1, sums, column, width)
        if self._corner is not None:
            sums = [self._triangle(sums[0], column, width, *self._corner)]
        for number, place in enumerate(places):
            parts = [Lanes(builder, self._kind, chain[number]) for chain in sums]
            while len(parts) > 1:
                parts = [a + b for a, b in zip(parts[::2], parts[1::2], strict=True)]
            store(parts[0], place)

    def _triangle(
        self, sums: Sequence[ir.Value], column: ir.Value, width: int, corner: str, edge: ir.Value
    ) -> list[ir.Value]:
        """Write the terms that some rows have and others have not."""
        sums, lower, solving = list(sums), corner.endswith("lower"), corner.startswith("solve")
        for i in range(self._rows) if lower else reversed(range(self._rows)):
            rows = range(i + solving, self._rows) if lower else range(i + 1 - solving)
            given = sums[i * width : (i + 1) * width] if solving else None
            sums = self._term(self._builder.add(edge, _index(i)), sums, column, width, rows, given)
        return sums

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
            added = self._term(builder.add(term, _index(chain)), held[chain], column, width, range(self._rows))
            for phi, value in zip(held[chain], added, strict=True):
                phi.add_incoming(value, builder.block)
        for phi in (phi for phis in held[chains:] for phi in phis):
            phi.add_incoming(phi, builder.block)
        term.add_incoming(builder.add(term, _index(chains)), builder.block)
        builder.branch(head)
        builder.position_at_end(after)
        return [list(phis) for phis in held]

    def _term(
        self,
        term: ir.Value,
        sums: Sequence[ir.Value],
        column: ir.Value,
        width: int,
        rows: Iterable[int],
        given: Sequence[ir.Value] | None = None,
    ) -> list[ir.Value]:
        """Write sums + h[:, term] W[term, :] for some rows; `given` is that row of W where it is not in memory."""
        builder, added = self._builder, list(sums)
        weights = given
        if weights is None:
            places = [self._w.at(term, builder.add(column, _index(v))) for v in range(width)]
            weights = [load(builder, self._kind, place).value for place in places]
        for row in rows:
            number = splat(builder, self._kind.vector, builder.load(self._h.at(_index(row), term)))
            for v, weight in enumerate(weights):
                at = row * width + v
                added[at] = builder.call(self._multiply_add, [number, weight, sums[at]])
        return added


def _index(number: int) -> ir.Constant:
    return ir.Constant(INDEX, number)
