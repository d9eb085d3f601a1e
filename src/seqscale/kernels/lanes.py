"""Numbers side by side in one register, and the instructions on them, written while a kernel is compiled.

A compiler left to itself turns a loop over 16 units into 16 single numbers; these are vectors by construction, whatever
the number of units, so that one compiled kernel serves every size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import cgutils
from numba.np.arrayobj import make_array

_FEATURES = llvm.get_host_cpu_features()
REGISTER_BYTES = 64 if _FEATURES.get("avx512f") else 32 if _FEATURES.get("avx2") else 16
INDEX, _INT32 = ir.IntType(64), ir.IntType(32)
_FLAGS = ("contract",)  # a product and a sum may be rounded once; NaN and infinity stay what they are


@dataclass(frozen=True, slots=True)
class Kind:
    """The numbers of one kernel.

    Attributes:
        element: float or double.
        lanes: how many of them one register holds.
    """

    element: ir.Type
    lanes: int

    @property
    def bits(self) -> int:
        """Of one number."""
        return 32 if isinstance(self.element, ir.FloatType) else 64

    @property
    def vector(self) -> ir.VectorType:
        """The type of a register of them."""
        return ir.VectorType(self.element, self.lanes)

    @property
    def whole(self) -> ir.VectorType:
        """The type of a register of whole numbers, one for each of them."""
        return ir.VectorType(ir.IntType(self.bits), self.lanes)

    @property
    def suffix(self) -> str:
        """What LLVM's instructions for such a register end in."""
        return f"v{self.lanes}f{self.bits}"


def kind_of(dtype: Any, context: Any) -> Kind:
    """Return the kind of numba's float32 or float64."""
    return Kind(context.get_data_type(dtype), lanes_of(dtype.bitwidth // 8))


def lanes_of(itemsize: int) -> int:
    """Return how many numbers of that many bytes a register holds."""
    return REGISTER_BYTES // itemsize


@dataclass(frozen=True, slots=True, eq=False)
class Lanes:
    """A vector of floating-point numbers; arithmetic on it writes instructions."""

    builder: ir.IRBuilder
    kind: Kind
    value: ir.Value

    def __add__(self, other: Lanes | float) -> Lanes:
        return self._with(self.builder.fadd(self.value, self._same(other), flags=_FLAGS))

    def __sub__(self, other: Lanes | float) -> Lanes:
        return self._with(self.builder.fsub(self.value, self._same(other), flags=_FLAGS))

    def __rsub__(self, other: float) -> Lanes:
        return self._with(self.builder.fsub(self._same(other), self.value, flags=_FLAGS))

    def __mul__(self, other: Lanes | float) -> Lanes:
        return self._with(self.builder.fmul(self.value, self._same(other), flags=_FLAGS))

    def __truediv__(self, other: Lanes | float) -> Lanes:
        return self._with(self.builder.fdiv(self.value, self._same(other)))

    def __rtruediv__(self, other: float) -> Lanes:
        return self._with(self.builder.fdiv(self._same(other), self.value))

    def at_most(self, bound: float) -> Lanes:
        """Return each number, or `bound` where it is greater; NaN stays."""
        above = self.builder.fcmp_ordered(">", self.value, self._same(bound))
        return self._with(self.builder.select(above, self._same(bound), self.value))

    def at_least(self, bound: float) -> Lanes:
        """Return each number, or `bound` where it is less; NaN stays."""
        below = self.builder.fcmp_ordered("<", self.value, self._same(bound))
        return self._with(self.builder.select(below, self._same(bound), self.value))

    def where_negative(self, one: Lanes, other: Lanes) -> Lanes:
        """Return `one` where a number is below 0, `other` elsewhere and for NaN."""
        below = self.builder.fcmp_ordered("<", self.value, self._same(0.0))
        return self._with(self.builder.select(below, one.value, other.value))

    def magnitude(self) -> Lanes:
        """Return the numbers without their signs."""
        mask = whole(self.kind, (1 << (self.kind.bits - 1)) - 1)
        return self.from_bits(self.builder.and_(self.bits(), mask))

    def with_sign_of(self, other: Lanes) -> Lanes:
        """Return these numbers, none of which is negative, with the signs of `other`."""
        sign = self.builder.and_(other.bits(), whole(self.kind, 1 << (self.kind.bits - 1)))
        return self.from_bits(self.builder.or_(self.bits(), sign))

    def bits(self) -> ir.Value:
        """Return the numbers' bits as whole numbers."""
        return self.builder.bitcast(self.value, self.kind.whole)

    def from_bits(self, bits: ir.Value) -> Lanes:
        """Return numbers from their bits."""
        return self._with(self.builder.bitcast(bits, self.kind.vector))

    def _same(self, other: Lanes | float) -> ir.Value:
        if isinstance(other, Lanes):
            return other.value
        return ir.Constant(self.kind.vector, [ir.Constant(self.kind.element, float(other))] * self.kind.lanes)

    def _with(self, value: ir.Value) -> Lanes:
        return Lanes(self.builder, self.kind, value)


def whole(kind: Kind, number: int) -> ir.Constant:
    """Return one whole number in every lane."""
    return ir.Constant(kind.whole, [ir.Constant(ir.IntType(kind.bits), number)] * kind.lanes)


def pointer(context: Any, builder: ir.IRBuilder, array_type: Any, array: ir.Value, at: ir.Value) -> ir.Value:
    """Return where element `at` of a contiguous array lies."""
    return builder.gep(make_array(array_type)(context, builder, array).data, [at])


def load(builder: ir.IRBuilder, kind: Kind, place: ir.Value, mask: ir.Value | None = None) -> Lanes:
    """Read a register of numbers; those that the mask leaves out are 0 and not touched."""
    where = builder.bitcast(place, kind.vector.as_pointer())
    if mask is None:
        return Lanes(builder, kind, builder.load(where, align=kind.bits // 8))
    signature = ir.FunctionType(kind.vector, [where.type, _INT32, mask.type, kind.vector])
    read = cgutils.get_or_insert_function(builder.module, signature, f"llvm.masked.load.{kind.suffix}.p0")
    align = ir.Constant(_INT32, kind.bits // 8)
    return Lanes(builder, kind, builder.call(read, [where, align, mask, ir.Constant(kind.vector, None)]))


def store(numbers: Lanes, place: ir.Value, mask: ir.Value | None = None) -> None:
    """Write a register of numbers but those that the mask leaves out."""
    builder, kind = numbers.builder, numbers.kind
    where = builder.bitcast(place, kind.vector.as_pointer())
    if mask is None:
        builder.store(numbers.value, where, align=kind.bits // 8)
        return
    signature = ir.FunctionType(ir.VoidType(), [kind.vector, where.type, _INT32, mask.type])
    write = cgutils.get_or_insert_function(builder.module, signature, f"llvm.masked.store.{kind.suffix}.p0")
    builder.call(write, [numbers.value, where, ir.Constant(_INT32, kind.bits // 8), mask])


def first(builder: ir.IRBuilder, kind: Kind, count: ir.Value) -> ir.Value:
    """Return the mask of the first `count` lanes."""
    one = builder.trunc(count, ir.IntType(kind.bits)) if kind.bits < 64 else count
    numbers = ir.Constant(kind.whole, [ir.Constant(ir.IntType(kind.bits), lane) for lane in range(kind.lanes)])
    return builder.icmp_signed("<", numbers, splat(builder, kind.whole, one))


def turn(rows: Sequence[Lanes]) -> list[Lanes]:
    """Return the columns of a square of numbers, each row in one register.

    For each power of two below the lanes, squares of that size beside the diagonal change places.
    """
    kind, builder, values = rows[0].kind, rows[0].builder, [row.value for row in rows]
    size = 1
    while size < kind.lanes:
        lanes = range(kind.lanes)
        upper = [lane if lane & size == 0 else lane + kind.lanes - size for lane in lanes]
        lower = [lane + size if lane & size == 0 else lane + kind.lanes for lane in lanes]
        before = list(values)
        for i in (i for i in lanes if i & size == 0):
            pair = before[i], before[i + size]
            for at, picked in ((i, upper), (i + size, lower)):
                mask = ir.Constant(ir.VectorType(_INT32, kind.lanes), [ir.Constant(_INT32, lane) for lane in picked])
                values[at] = builder.shuffle_vector(*pair, mask)
        size *= 2
    return [Lanes(builder, kind, value) for value in values]


def splat(builder: ir.IRBuilder, vector: ir.VectorType, one: ir.Value) -> ir.Value:
    """Return one number in every lane."""
    nothing = ir.Constant(vector, ir.Undefined)
    start = builder.insert_element(nothing, one, ir.Constant(_INT32, 0))
    return builder.shuffle_vector(start, nothing, ir.Constant(ir.VectorType(_INT32, vector.count), None))


def over(builder: ir.IRBuilder, kind: Kind, count: ir.Value, body: Callable[[ir.Value, ir.Value | None], None]) -> None:
    """Write a loop over `count` numbers a register at a time: body(index of the first, mask of those that exist)."""
    lanes = ir.Constant(INDEX, kind.lanes)
    rest = builder.srem(count, lanes)
    stop = builder.sub(count, rest)
    with cgutils.for_range_slice(builder, ir.Constant(INDEX, 0), stop, lanes, INDEX) as (index, _):
        body(index, None)
    with builder.if_then(builder.icmp_signed(">", rest, ir.Constant(INDEX, 0))):
        body(stop, first(builder, kind, rest))
