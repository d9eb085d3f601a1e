"""Claims on attention: it retrieves regardless of distance, and of length (probe recall, constructed, E11)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import final

from seqscale.fit.replicates import share_difference
from seqscale.fit.verdict import Decision, equivalence
from seqscale.records import Cell, LayerSpec, Option, Question
from seqscale.rows import Row
from seqscale.theory.recall import logit_needed
from seqscale.verdicts import arms
from seqscale.verdicts.arms import Arm
from seqscale.verdicts.base import Kind
from seqscale.verdicts.readings import Values, at, curve_of, drawn, interval_of, mean_of, record, text
from seqscale.verdicts.replicated import REPLICATES, AbstractReplicated, Finding, information_cell

WIDTH, VALUES = 16, 16  # d of the keys, V
PAIRS, LOGIT, SEQUENCES = 64, 8.0, 1024  # of the claim on distance
FEWEST, MOST, BOUNDED_LOGIT = 16, 4096, 4.0  # pairs, of the claim on length
FEWER: Mapping[str, int] = MappingProxyType({"quick": 64, "full": 256})  # sequences of so many pairs
WEIGHT = 0.5  # of the right key, for which the logit needed is said


class AbstractAttention(AbstractReplicated):
    """A claim on attention's own rule with keys given: no training, no position."""

    takeaway = 4
    delta = 0.02
    unit = "1"
    checks = ("recall-softmax",)

    def applies(self, layer: LayerSpec) -> bool:
        """Attention only."""
        return layer.family == "attention"


def constructed_cell(question: Question, pairs: int, logit: float, sequences: int) -> Cell:
    """Return the cell of attention with so many random keys."""
    given: Mapping[str, Option] = {
        "form": "constructed", "geometry": "random", "pairs": pairs, "keys": pairs, "symbols": VALUES, "logit": logit,
        "sequences": sequences, "replicates": REPLICATES[question.scope.extent],
    }  # fmt: skip
    return information_cell(question, "recall", pairs, given, width=WIDTH)


@final
class RegardlessOfDistance(AbstractAttention):
    """Old pairs against new ones, in sequences of one length."""

    id = "retrieval.attention-regardless-of-distance"
    sentence = "Attention retrieves a token regardless of its distance."
    kind = Kind.equivalence
    estimand = "accuracy on the oldest quarter of 64 pairs less that on the newest, random keys, against 0"

    def cells(self, question: Question) -> tuple[Cell, ...]:
        """Return the one cell."""
        return (constructed_cell(question, PAIRS, LOGIT, SEQUENCES),)

    def find(self, question: Question, rows: tuple[Row, ...], beside: tuple[Row, ...]) -> Finding:
        """Judge the difference, paired by replicate."""
        (row,) = rows
        curve = curve_of(row, "accuracy by distance")
        quarter = max(1, len(curve.x) // 4)
        new, old = _mean(curve.values[:quarter]), _mean(curve.values[-quarter:])
        gap = interval_of(share_difference, old, new, SEQUENCES)
        return Finding(
            decision=equivalence(gap.low90, gap.high90, gap.low95, gap.high95, 0.0, self.delta),
            statement=(
                f"accuracy is {text(mean_of(old))} on the oldest quarter of {PAIRS} pairs and {text(mean_of(new))} on "
                f"the newest: {text(gap)} apart"
            ),
            headline=f"{gap.value:+.3f} old against new",
            evidence={
                "gap": record(gap, "1"),
                "oldest": record(mean_of(old), "1"),
                "newest": record(mean_of(new), "1"),
            },
            curves=(drawn(question, curve, "by distance"),),
        )


@final
class RegardlessOfLength(AbstractAttention):
    """More and more pairs at a logit that stays the same."""

    id = "retrieval.attention-regardless-of-length"
    sentence = "Attention retrieves a token regardless of the length of the sequence."
    kind = Kind.universal
    estimand = "accuracy with 16 random keys less that with K, logit 4, every power of two up to 4,096, against 0"

    def cells(self, question: Question) -> tuple[Cell, ...]:
        """Return the one cell, which measures every power of two."""
        return (constructed_cell(question, MOST, BOUNDED_LOGIT, FEWER[question.scope.extent]),)

    def find(self, question: Question, rows: tuple[Row, ...], beside: tuple[Row, ...]) -> Finding:
        """Judge every number of pairs."""
        (row,) = rows
        curve = curve_of(row, "accuracy")
        counts = [FEWEST * 2**k for k in range(1, int(math.log2(MOST / FEWEST)) + 1)]
        few = at(row, curve, FEWEST)
        found = []
        for pairs in counts:
            many = at(row, curve, pairs)
            gap = interval_of(share_difference, few, many, FEWER[question.scope.extent], len(counts))
            decision = equivalence(gap.low90, gap.high90, gap.low95, gap.high95, 0.0, self.delta)
            found.append(Arm(label=f"{FEWEST} against {pairs} keys", effect=gap, decision=decision))
        needed = [float(logit_needed(pairs, WEIGHT)) for pairs in (FEWEST, MOST)]
        last = mean_of(at(row, curve, MOST))
        decision = arms.decide(found)
        statement = (
            f"accuracy is {text(mean_of(few))} with {FEWEST} keys and {text(last)} with {MOST:,}, the logit the "
        )
        statement += f"same: {arms.said(found)}"
        if decision is not Decision.supported:
            statement += (
                f"; it holds as long as the logit grows with ln T: to give weight {WEIGHT:g} to the right one of "
            )
            statement += f"orthogonal keys takes {needed[0]:.3g} of {FEWEST} and {needed[1]:.3g} of {MOST:,}"
        return Finding(
            decision=decision,
            statement=statement,
            headline=f"{mean_of(few).value:.2f} to {last.value:.2f} at {MOST:,} keys",
            evidence={
                **arms.records(found, self.unit),
                "logit_needed": {"value": needed, "at": [FEWEST, MOST], "weight": WEIGHT, "unit": "1"},
            },
            curves=(drawn(question, curve, "by pairs"),),
        )


def _mean(values: Sequence[Values]) -> Values:
    """Return the mean over x of each replicate."""
    return tuple(math.fsum(row) / len(row) for row in zip(*values, strict=True))
