"""The instructions of the selective scan: one register of channels through a stretch of time, there and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from seqscale.kernels.activations import exponential
from seqscale.kernels.lanes import INDEX, Kind, Lanes, first, kind_of, load, pointer, splat, store

STRETCH = 32  # steps between kept states


class _Writer:
    """Writes what both instructions share.

    Attributes:
        lanes: of a register.
        mask: those of this register that are channels.
    """

    def __init__(self, context: Any, builder: ir.IRBuilder, kind: Kind, count: ir.Value) -> None:
        self._context, self._builder, self._kind = context, builder, kind
        self.lanes, self.mask = ir.Constant(INDEX, kind.lanes), first(builder, kind, count)
        self.nothing = Lanes(builder, kind, ir.Constant(kind.vector, None))

    def places(self, arrays: Any, given: ir.Value, at: ir.Value | None = None) -> list[ir.Value]:
        """Return where arrays begin."""
        values = cgutils.unpack_tuple(self._builder, given)
        starts = [ir.Constant(INDEX, 0)] * len(values) if at is None else cgutils.unpack_tuple(self._builder, at)
        parts = zip(arrays, values, starts, strict=True)
        return [pointer(self._context, self._builder, array, value, start) for array, value, start in parts]

    def times(self, count: ir.Value) -> AbstractContextManager[Any]:
        """Write a loop."""
        return cgutils.for_range(self._builder, count, intp=INDEX)

    def sums(self, count: ir.Value, terms: Callable[[ir.Value], Sequence[Lanes]], number: int) -> list[Lanes]:
        """Write a loop that adds up `number` terms of each index, and return the sums."""
        places = [cgutils.alloca_once_value(self._builder, self.nothing.value) for _ in range(number)]
        for place in places:
            self._builder.store(self.nothing.value, place)
        with self.times(count) as loop:
            for place, term in zip(places, terms(loop.index), strict=True):
                self._builder.store((self._of(self._builder.load(place)) + term).value, place)
        return [self._of(self._builder.load(place)) for place in places]

    def row(self, place: ir.Value, index: ir.Value, apart: ir.Value) -> ir.Value:
        """Return where row `index` begins of rows that lie `apart`."""
        return self._builder.gep(place, [self._builder.mul(index, apart)])

    def channels(self, place: ir.Value) -> Lanes:
        """Read this register's channels; lanes that are none are 0."""
        return load(self._builder, self._kind, place, self.mask)

    def whole(self, place: ir.Value) -> Lanes:
        """Read a register."""
        return load(self._builder, self._kind, place)

    def fetch(self, place: ir.Value) -> None:
        """Ask for the register of channels beside this one, which is read next."""
        pointer_type, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        signature = ir.FunctionType(ir.VoidType(), [pointer_type, number, number, number])
        ask = cgutils.get_or_insert_function(self._builder.module, signature, "llvm.prefetch.p0")
        beside = self._builder.bitcast(self._builder.gep(place, [self.lanes]), pointer_type)
        self._builder.call(ask, [beside, *(ir.Constant(number, n) for n in (0, 3, 1))])

    def same(self, place: ir.Value) -> Lanes:
        """Read one number into every lane."""
        return self._of(splat(self._builder, self._kind.vector, self._builder.load(place)))

    def _of(self, value: ir.Value) -> Lanes:
        return Lanes(self._builder, self._kind, value)


def _advance(typing: Any, steps: Any, states: Any, width: Any, count: Any, arrays: Any, at: Any, own: Any) -> Any:
    """Take one register of channels through time, from its states to those after the last step.

    Args:
        typing: numba's.
        steps, states, width: t, n and d.
        count: channels in this register and beyond it.
        arrays: x, delta (t, d), a (n, d), b, c (t, n), h (n, d), which is written too, and y (t, d), which is written.
        at: where each begins.
        own: arrays of a register for each state, for its own use: a, h.
    """

    def code(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        steps, states, width, count, *given, mine = values
        w = _Writer(context, builder, kind_of(own[0].dtype, context), count)
        x, delta, a, b, c, h, y = w.places(arrays, *given)
        own_a, own_h = w.places(own, mine)
        with w.times(states) as n:
            for of_own, place in ((own_a, a), (own_h, h)):
                store(w.channels(w.row(place, n.index, width)), w.row(of_own, n.index, w.lanes))
        with w.times(steps) as t:
            rate = w.channels(w.row(delta, t.index, width))
            added = rate * w.channels(w.row(x, t.index, width))
            for place in (x, delta, y):
                w.fetch(w.row(place, t.index, width))
            b_t, c_t = (w.row(place, t.index, states) for place in (b, c))

            def read(n: ir.Value) -> Sequence[Lanes]:
                place = w.row(own_h, n, w.lanes)
                decay = exponential(rate * w.whole(w.row(own_a, n, w.lanes)))
                after = decay * w.whole(place) + added * w.same(builder.gep(b_t, [n]))
                store(after, place)
                return [after * w.same(builder.gep(c_t, [n]))]

            store(w.sums(states, read, 1)[0], w.row(y, t.index, width), w.mask)
        with w.times(states) as n:
            store(w.whole(w.row(own_h, n.index, w.lanes)), w.row(h, n.index, width), w.mask)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp, types.intp, arrays, at, own), code


advance: Any = intrinsic(_advance)


def _retreat(typing: Any, steps: Any, states: Any, width: Any, count: Any, arrays: Any, at: Any, own: Any) -> Any:
    """Compute the states of a stretch of time again, and take one register of channels back to its begin.

        g_t = gy_t C_t + carried_t                          the gradient of h_t
        carried_{t-1} = exp(delta_t A) g_t
        gC_t += gy_t h_t            gB_t += delta_t x_t g_t            gA += delta_t carried_{t-1} h_{t-1}
        gx_t = delta_t sum_n g_t B_t            gdelta_t = x_t sum_n g_t B_t + sum_n carried_{t-1} h_{t-1} A

    Args:
        typing: numba's.
        steps, states, width: t, n and d.
        count: channels in this register and beyond it.
        arrays: gy, x, delta (t, d), a (n, d), b, c (t, n), the states before the first step (n, d); carried and gA
            (n, d), which are written too; gx and gdelta (t, d), which are written.
        at: where each begins.
        own: for its own use: three arrays of a register for each state, a, carried and gA, and two of a register for
            each state and step, exp(delta_t A) and h, this one of a step more; then gB and gC, a register for each
            step and state, which it adds to, lane by lane.
    """

    def code(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        steps, states, width, count, *given, mine = values
        w = _Writer(context, builder, kind_of(own[0].dtype, context), count)
        gy, x, delta, a, b, c, h, carried, ga, gx, g_delta = w.places(arrays, *given)
        own_a, own_carried, own_ga, decays, own_h, own_gb, own_gc = w.places(own, mine)
        held = ((own_a, a), (own_carried, carried), (own_ga, ga))
        stride = builder.mul(states, w.lanes)
        with w.times(states) as n:
            for of_own, place in (*held, (own_h, h)):
                store(w.channels(w.row(place, n.index, width)), w.row(of_own, n.index, w.lanes))
        with w.times(steps) as t:
            rate = w.channels(w.row(delta, t.index, width))
            added = rate * w.channels(w.row(x, t.index, width))
            for place in (gy, x, delta, gx, g_delta):
                w.fetch(w.row(place, t.index, width))
            b_t, decay_t, h_t = w.row(b, t.index, states), w.row(decays, t.index, stride), w.row(own_h, t.index, stride)
            with w.times(states) as n:
                of_own = builder.mul(n.index, w.lanes)
                decay = exponential(rate * w.whole(builder.gep(own_a, [of_own])))
                store(decay, builder.gep(decay_t, [of_own]))
                after = decay * w.whole(builder.gep(h_t, [of_own])) + added * w.same(builder.gep(b_t, [n.index]))
                store(after, builder.gep(h_t, [builder.add(of_own, stride)]))
        with w.times(steps) as turn:
            t_index = builder.sub(builder.sub(steps, turn.index), ir.Constant(INDEX, 1))
            of_t = builder.mul(t_index, width)
            g_y, x_t, rate = (w.channels(builder.gep(place, [of_t])) for place in (gy, x, delta))
            added = rate * x_t
            b_t, c_t = (w.row(place, t_index, states) for place in (b, c))
            decay_t, h_t, gb_t, gc_t = (w.row(place, t_index, stride) for place in (decays, own_h, own_gb, own_gc))

            def back(n: ir.Value) -> Sequence[Lanes]:
                of_own = builder.mul(n, w.lanes)

                def own_place(place: ir.Value) -> ir.Value:
                    return builder.gep(place, [of_own])

                def add(place: ir.Value, term: Lanes, mask: ir.Value | None = None) -> None:
                    store(w.whole(place) + term, place, mask)

                before, after = w.whole(own_place(h_t)), w.whole(builder.gep(h_t, [builder.add(of_own, stride)]))
                g = g_y * w.same(builder.gep(c_t, [n])) + w.whole(own_place(own_carried))
                # these are summed across lanes, and one that is no channel is 0 times infinity where b or c is infinite
                add(own_place(gc_t), g_y * after, w.mask)
                add(own_place(gb_t), added * g, w.mask)
                back = g * w.whole(own_place(decay_t))
                store(back, own_place(own_carried))
                met = back * before
                add(own_place(own_ga), rate * met)
                return [g * w.same(builder.gep(b_t, [n])), met * w.whole(own_place(own_a))]

            into, of_decay = w.sums(states, back, 2)
            store(rate * into, builder.gep(gx, [of_t]), w.mask)
            store(x_t * into + of_decay, builder.gep(g_delta, [of_t]), w.mask)
        with w.times(states) as n:
            for of_own, place in held[1:]:
                store(w.whole(w.row(of_own, n.index, w.lanes)), w.row(place, n.index, width), w.mask)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp, types.intp, arrays, at, own), code


retreat: Any = intrinsic(_retreat)


def _gather(typing: Any, count: Any, registers: Any, sums: Any, at: Any) -> Any:
    """Write the sum of each register's lanes.

    Args:
        typing: numba's.
        count: of registers.
        registers: an array of them.
        sums: an array, written.
        at: where in it.
    """

    def code(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        kind, lane = kind_of(sums.dtype, context), ir.IntType(32)
        number, read, write, start = values
        source = pointer(context, builder, registers, read, ir.Constant(INDEX, 0))
        target = pointer(context, builder, sums, write, start)
        with cgutils.for_range(builder, number, intp=INDEX) as loop:
            place = builder.gep(source, [builder.mul(loop.index, ir.Constant(INDEX, kind.lanes))])
            value, half = load(builder, kind, place).value, kind.lanes
            while half > 1:
                half //= 2
                parts = [
                    builder.shuffle_vector(
                        value, value, ir.Constant(ir.VectorType(lane, half), list(range(begin, begin + half)))
                    )
                    for begin in (0, half)
                ]
                value = builder.fadd(*parts)
            builder.store(builder.extract_element(value, ir.Constant(lane, 0)), builder.gep(target, [loop.index]))
        return context.get_dummy_value()

    return types.void(types.intp, registers, sums, types.intp), code


gather: Any = intrinsic(_gather)
