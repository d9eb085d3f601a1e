"""Claims on retrieval by trained layers: values are asked for by their keys (probe recall, E5)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import final

from seqscale.fit.interval import Interval
from seqscale.fit.replicates import share_difference, share_interval
from seqscale.fit.verdict import Decision, at_most
from seqscale.layers.catalogue import LAYERS
from seqscale.records import Cell, LayerSpec, Option, Question
from seqscale.rows import Row
from seqscale.verdicts import arms
from seqscale.verdicts.arms import Arm
from seqscale.verdicts.base import Curve, CurvePoint, Kind, Reason
from seqscale.verdicts.calibration import Fault
from seqscale.verdicts.readings import (
    figure_of,
    interval_of,
    mean_of,
    mean_seen,
    record,
    scored_of,
    text,
    values_of,
)
from seqscale.verdicts.replicated import REPLICATES, AbstractReplicated, Finding, control_fault, information_cell

ATTENTION = LAYERS["attention"]
WIDTH = 16  # d
SMALL = (2, 4)  # pairs K and tokens T: pairs first, then blanks, then as many queries
# Few pairs: up to 24 bits, where 16 numbers are carried.
FEW: Mapping[str, tuple[tuple[int, int], ...]] = MappingProxyType({"quick": (SMALL,), "full": (SMALL, (4, 8), (8, 16))})
# The same pairs, further and further from their queries.
GROWING: Mapping[str, tuple[tuple[int, int], ...]] = MappingProxyType(
    {"quick": (SMALL, (2, 8)), "full": (SMALL, (2, 8), (2, 16), (2, 32))}
)
# With 4 keys and 4 values a gated layer of 16 units learns in 400 steps; 64 keys and 16 values took it thousands.
BUDGET: Mapping[str, Mapping[str, Option]] = MappingProxyType(
    {
        "quick": {
            "keys": 4, "symbols": 4, "steps": 400, "rates": "0.01,0.03", "sequences": 32, "replicates": 3,
        },
        "full": {
            "keys": 8, "symbols": 8, "steps": 3000, "rates": "0.003,0.01,0.03", "sequences": 64, "replicates": 5,
        },
    }
)  # fmt: skip
BRIEF = ("quick",)  # extents that train so briefly that a failure proves no inability
GIVEN = ("linear-attention", "deltanet")  # layers of fixed state whose rule takes keys that are given
GIVEN_VALUES = 16  # V where keys are given


def trained_cell(question: Question, size: tuple[int, int], layer: LayerSpec | None = None) -> Cell:
    """Return the cell of recall, trained, at K pairs and T tokens; the claims of retrieval share it.

    Args:
        question: gives the layer, and how hard is trained.
        size: (K, T).
        layer: another layer, as a control.
    """
    pairs, length = size
    given: Mapping[str, Option] = {**BUDGET[question.scope.extent], "form": "trained", "pairs": pairs}
    return information_cell(question, "recall", length, given, width=WIDTH, layer=layer)


def above_keyless(row: Row, name: str, cells: int = 1) -> Interval:
    """Return the interval of a share of right answers less what is right without the keys.

    Who only remembers which values came, and not with which key, is right more often than by chance, 1/V: selective is
    what lies above that. With keys given, and no training, nothing can guess: there it is chance.
    """
    given, shares = dict(row.cell.conditions), values_of(row, name)
    if given["form"] != "trained":
        return interval_of(share_interval, shares, given["sequences"], cells, values_of(row, "chance")[0])
    blind = values_of(row, "keyless_accuracy")[0]
    return interval_of(share_interval, shares, scored_of(row), cells, blind)


def inability_fault(question: Question, decision: Decision, rows: tuple[Row, ...], name: str) -> Fault | None:
    """Return why "it cannot" is not shown: training was brief, or attention, in the same budget, cannot either."""
    if decision is not Decision.supported:
        return None
    if question.scope.extent in BRIEF:
        steps = BUDGET[question.scope.extent]["steps"]
        return Fault(reason=Reason.training, said=f"not learned in {steps} steps, which proves no inability")
    faults = (control_fault(row, values_of(row, name) if row.ok else None, f"attention's {name}") for row in rows)
    return next((fault for fault in faults if fault is not None), None)


@final
class CannotRetrieve(AbstractReplicated):
    """Whether a fixed state can give back one of a few values by its key."""

    id = "retrieval.recurrence-cannot"
    takeaway = 2
    sentence = "A recurrent layer cannot retrieve selectively: which of a few values it is asked for, it cannot tell."
    kind = Kind.universal
    estimand = "accuracy less that without the keys, recall of few pairs, every declared cell, against delta"
    delta = 0.1
    unit = "1"
    checks = ("training", "recall-additive", "recall-delta")

    def applies(self, layer: LayerSpec) -> bool:
        """Recurrent layers, and a user's own."""
        return layer.family in ("recurrent", "own")

    def cells(self, question: Question) -> tuple[Cell, ...]:
        """Return recall of few pairs, trained; for layers whose rule takes given keys, with orthonormal ones too."""
        cells = [trained_cell(question, size) for size in FEW[question.scope.extent]]
        if question.layer.name in GIVEN:
            given: Mapping[str, Option] = {
                "form": "constructed", "geometry": "orthonormal", "pairs": WIDTH, "keys": WIDTH,
                "symbols": GIVEN_VALUES, "replicates": REPLICATES[question.scope.extent],
            }  # fmt: skip
            cells.append(information_cell(question, "recall", WIDTH, given, width=WIDTH))
        return tuple(cells)

    def beside(self, question: Question) -> tuple[Cell, ...]:
        """Return the controls: attention, trained in the same budget."""
        return tuple(trained_cell(question, size, ATTENTION) for size in FEW[question.scope.extent])

    def find(self, question: Question, rows: tuple[Row, ...], beside: tuple[Row, ...]) -> Finding:
        """Judge every cell by its accuracy above that without keys."""
        declared = len(self.cells(question))
        found = []
        for row in rows:
            given = dict(row.cell.conditions)
            effect = above_keyless(row, "accuracy", declared)
            label = f"{given['form']}, {given['pairs']} pairs, accuracy above that without keys"
            found.append(Arm(label=label, effect=effect, decision=at_most(effect.high90, effect.low95, self.delta)))
        decision = arms.decide(found)
        best = max(found, key=lambda arm: arm.effect.value)
        return Finding(
            decision=decision,
            statement=arms.said(found),
            headline=f"{best.effect.value:.2f} above keyless",
            evidence=arms.records(found, self.unit),
            curves=_by_rate(question, rows),
            fault=inability_fault(question, decision, beside, "accuracy"),
        )


@final
class EarlyDegrades(AbstractReplicated):
    """The oldest quarter of what was read, in a short sequence and in a long one."""

    id = "retrieval.early-degrades"
    takeaway = 2
    sentence = "The longer the sequence, the worse its early tokens are retrieved."
    kind = Kind.average
    estimand = (
        "accuracy on the oldest quarter of the pairs, less that with most blanks before the queries, trained alike"
    )
    delta = 0.05
    unit = "1"
    checks = ("training",)

    def applies(self, layer: LayerSpec) -> bool:
        """Every layer."""
        return True

    def cells(self, question: Question) -> tuple[Cell, ...]:
        """Return the trained cells of all lengths."""
        return tuple(trained_cell(question, size) for size in GROWING[question.scope.extent])

    def find(self, question: Question, rows: tuple[Row, ...], beside: tuple[Row, ...]) -> Finding:
        """Judge the fall, paired by replicate; what was not learned in a short sequence cannot fall."""
        short, long = rows[0], rows[-1]
        early, late = (values_of(row, "early_accuracy") for row in (short, long))
        fall = interval_of(share_difference, early, late, min(scored_of(short), scored_of(long)))
        decision, more = self.by_average(fall)
        # of all pairs: who answers always the oldest value is right of the oldest pair without any key
        learned = above_keyless(short, "accuracy")
        fault = None
        if learned.low95 <= self.delta:
            said = f"the control failed: pairs are not surely retrieved in a short sequence, {text(learned)}"
            fault = Fault(reason=Reason.control, said=f"{said} above that without keys")
        first, last = (mean_of(shares).within(0, 1) for shares in (early, late))
        return Finding(
            decision=decision,
            statement=(
                f"accuracy on the oldest pairs is {text(first)} in {short.cell.length} tokens and {text(last)} in "
                f"{long.cell.length}: {text(fall)} less{more}"
            ),
            headline=f"{first.value:.2f} to {last.value:.2f}",
            evidence={"fall": record(fall, "1"), "short": record(first, "1"), "long": record(last, "1")},
            curves=(_by_length(question, rows), *_by_rate(question, rows)),
            fault=fault,
        )


def _by_length(question: Question, rows: tuple[Row, ...]) -> Curve:
    """Return early accuracy against the number of tokens."""
    seen = [(row.cell.length, mean_seen(row, "early_accuracy")) for row in rows]
    points = [CurvePoint(x=x, y=y.value, low=max(y.low95, 0.0), high=min(y.high95, 1.0)) for x, y in seen]
    return Curve(
        label=f"{question.layer.name}/{question.algorithm} early", quantity="early_accuracy", x_name="tokens",
        points=tuple(points), law=(), law_text="no law fitted",
    )  # fmt: skip


def _by_rate(question: Question, rows: tuple[Row, ...]) -> tuple[Curve, ...]:
    """Return accuracy against the learning rate, of each trained row."""
    by_size = ((row, f"K={dict(row.cell.conditions)['pairs']} T={row.cell.length}") for row in rows)
    return tuple(curve for row, label in by_size for curve in figure_of(question, row, "accuracy by rate", label))
