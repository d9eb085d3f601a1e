"""The selective layer's kernel counts what its equations do: they run here on numbers that count."""

from __future__ import annotations

import heapq
import itertools

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqscale.kernels.stretch import STRETCH
from seqscale.layers.selective import Selective
from seqscale.tracing.trace import trace


class Ledger:
    """Counts operations; a number is how many of them, one after another, it waited for."""

    def __init__(self):
        self.work = 0

    def of(self, *numbers):
        """One operation on some numbers."""
        self.work += 1
        return 1 + max(numbers)

    def total(self, numbers):
        """A sum that waits as little as can be; the first number is added to nothing, and that counts as work."""
        self.work += len(numbers)
        waiting = list(numbers)
        heapq.heapify(waiting)
        while len(waiting) > 1:
            heapq.heappush(waiting, 1 + max(heapq.heappop(waiting), heapq.heappop(waiting)))
        return waiting[0]


def forward(b, t, d, n):
    ledger, longest = Ledger(), 0
    for _ in itertools.product(range(b), range(d)):
        h = [0] * n
        for _ in range(t):
            h, _ = step(ledger, h)
            longest = max(longest, ledger.total([ledger.of(part, 0) for part in h]))
    return ledger.work, longest


def step(ledger, h):
    added = ledger.of(0, 0)  # delta x
    decays = [ledger.of(ledger.of(0, 0)) for _ in h]
    return [ledger.of(ledger.of(a, part), ledger.of(added, 0)) for a, part in zip(decays, h, strict=True)], added


def backward(b, t, d, n):
    ledger, found = Ledger(), []
    into_a, into_b, into_c = {}, {}, {}
    for i, j in itertools.product(range(b), range(d)):
        states, of_a = [], {}
        for k in range(t):
            h = [0] * n if k % STRETCH == 0 else states[-1][1]
            states.append((h, step(ledger, h)[0]))
        carried = [0] * n
        for k in reversed(range(t)):
            before, after = states[k]
            added, into, met_a = ledger.of(0, 0), [], []
            for m in range(n):
                g = ledger.of(ledger.of(0, 0), carried[m])
                into_c.setdefault((i, k, m), []).append(ledger.of(0, after[m]))
                into_b.setdefault((i, k, m), []).append(ledger.of(added, g))
                carried[m] = ledger.of(g, 2)  # the decay is there
                met = ledger.of(carried[m], before[m])
                of_a.setdefault(m, []).append(ledger.of(0, met))
                into.append(ledger.of(g, 0))
                met_a.append(ledger.of(met, 0))
            through = ledger.total(into)
            found += [ledger.of(0, through), ledger.of(ledger.of(0, through), ledger.total(met_a))]
        found += carried
        for m, terms in of_a.items():
            into_a.setdefault((j, m), []).append(ledger.total(terms))
    found += [ledger.total(terms) for sums in (into_a, into_b, into_c) for terms in sums.values()]
    return ledger.work, max(found)


@settings(deadline=None, max_examples=15)
@given(b=st.integers(1, 3), t=st.sampled_from([1, 2, 5, 32, 33, 65]), d=st.integers(1, 5), n=st.integers(1, 4))
def test_work_and_depth_are_those_of_the_equations(b, t, d, n):
    layer = Selective(d, algorithm="fused", state=n)
    found = trace(layer, (b, t, d), torch.float32, "training").counts
    assert found.unknown_operators == ()
    by_name = {o.name: o for o in found.operators if o.name.startswith("seqscale::")}
    for name, by_hand in (("seqscale::selective", forward), ("seqscale::selective_backward", backward)):
        assert (by_name[name].work, by_name[name].steps) == by_hand(b, t, d, n)


@settings(deadline=None, max_examples=15)
@given(b=st.integers(1, 3), t=st.integers(1, 80), d=st.integers(1, 20), n=st.integers(1, 5))
def test_what_is_kept_is_the_input_its_terms_and_a_state_of_each_stretch(b, t, d, n):
    kept = trace(Selective(d, algorithm="fused", state=n), (b, t, d), torch.float32, "training").counts.saved_bytes
    rank, stretches = -(-d // 16), -(-t // STRETCH)
    projected = b * t * (rank + 2 * n)  # of which B and C are parts
    # what softplus is taken of, delta; A and what its sign is taken of; the states
    assert kept == 4 * (projected + 2 * b * t * d + 2 * d * n + b * stretches * n * d)
