"""Synthetic counts whose laws are known: what the claims that stand on them are judged with."""

from __future__ import annotations

import math

from test_verdicts import OK

from seqscale.rows import Observation, Outcome, OutcomeKind, Row, Sample
from seqscale.verdicts.base import Verdict

SUPPORTED, CONTRADICTED, UNDECIDED = Verdict.supported, Verdict.contradicted, Verdict.undecided


def log2(t):
    return math.ceil(math.log2(t))


def seen(**values):
    return {name: Observation.of(name, [Sample(value=value)]) for name, value in values.items()}


def counts(span=lambda t: 3 * t + 3, ideal=None, kernels=None, work=lambda t: 100 * t, traffic=lambda t: 40 * t):
    """Return cell -> row of counts that follow laws of the length."""

    def row(cell):
        t = cell.length
        found = {
            "work": work(t),
            "traffic_bytes": traffic(t),
            "kernels": (kernels or span)(t),
            "kernel_span": span(t),
            "ideal_span": (ideal or span)(t),
        }
        return Row(cell, OK, seen(**found))

    return row


def uncounted(cell):
    return Row(cell, Outcome(kind=OutcomeKind.ok, reason="no law for my::scan"), seen(kernels=3 * cell.length))


def linear(a, b=0):
    return lambda t: a * t + b


GONE = Outcome(kind=OutcomeKind.failed, reason="why")


def rough(t):
    """A span near T that no law of sizes gives."""
    return 7 * t + (t * 7919) % 5
