"""Claims on gradients: the derivative of the last output by an input, by distance (probe gradient-horizon, E8)."""

from __future__ import annotations

import math
from typing import final

from seqscale.fit.interval import Interval
from seqscale.fit.verdict import equivalence
from seqscale.records import Cell, LayerSpec, Question
from seqscale.rows import Row
from seqscale.verdicts.base import Kind, Reason
from seqscale.verdicts.readings import UnreadError, at, curve_of, drawn, mean_of, record, text
from seqscale.verdicts.replicated import REPLICATES, AbstractReplicated, Finding, information_cell

LENGTH = 64  # tokens
NEAR, FAR = 1, LENGTH - 1  # distances
SMALLEST = 1e-300  # norms below count as this: float64 has hardly any


class AbstractGradient(AbstractReplicated):
    """A claim on the norm of the derivative of the last output by the input so many tokens before."""

    delta = 0.01
    unit = "1/step"
    checks = ("lyapunov",)

    def cells(self, question: Question) -> tuple[Cell, ...]:
        """Return the one cell."""
        given = {"replicates": REPLICATES[question.scope.extent]}
        return (information_cell(question, "gradient-horizon", LENGTH, given),)


def fall(row: Row) -> Interval:
    """Return by how much the logarithm of the norm falls per step, from the nearest to the farthest input.

    Raises:
        UnreadError: the last output does not depend on the input before it.
    """
    curve = curve_of(row, "gradient")
    near, far = at(row, curve, NEAR), at(row, curve, FAR)
    if min(near) < SMALLEST:
        raise UnreadError(
            Reason.unanswerable, "the last output does not depend on the token before: nothing can vanish"
        )
    pairs = zip(near, far, strict=True)
    return mean_of([math.log(a / max(b, SMALLEST)) / (FAR - NEAR) for a, b in pairs])


@final
class VanishesRecurrent(AbstractGradient):
    """Whether the gradient vanishes over distance."""

    id = "gradient.vanishes-recurrent"
    takeaway = 3
    sentence = "In a recurrent layer the gradient vanishes with distance."
    kind = Kind.average
    estimand = "fall of ln |d last output / d input| per step, between distance 1 and 63"

    def applies(self, layer: LayerSpec) -> bool:
        """Recurrent layers, and a user's own."""
        return layer.family in ("recurrent", "own")

    def find(self, question: Question, rows: tuple[Row, ...], beside: tuple[Row, ...]) -> Finding:
        """Judge the fall."""
        (row,) = rows
        slope = fall(row)
        decision, more = self.by_average(slope)
        return Finding(
            decision=decision,
            statement=f"the gradient falls by e^{text(slope)} a step, {_over(slope)}{more}",
            headline=f"e^-{slope.value:.2g} a step" if slope.value >= 0 else f"e^+{-slope.value:.2g} a step",
            evidence={"fall": record(slope, self.unit)},
            curves=(drawn(question, curve_of(row, "gradient"), "gradient", logarithmic=True),),
        )


@final
class DirectAttention(AbstractGradient):
    """Whether attention's gradient reaches every input alike."""

    id = "gradient.direct-attention"
    takeaway = 4
    sentence = "In attention any two positions are connected directly: the gradient does not depend on their distance."
    kind = Kind.equivalence
    estimand = "fall of ln |d last output / d input| per step, between distance 1 and 63, against 0"

    def applies(self, layer: LayerSpec) -> bool:
        """Attention only."""
        return layer.family == "attention"

    def find(self, question: Question, rows: tuple[Row, ...], beside: tuple[Row, ...]) -> Finding:
        """Judge the fall."""
        (row,) = rows
        slope = fall(row)
        return Finding(
            decision=equivalence(slope.low90, slope.high90, slope.low95, slope.high95, 0.0, self.delta),
            statement=f"the gradient falls by e^{text(slope)} a step, {_over(slope)}",
            headline=f"e^{-slope.value:+.2g} a step",
            evidence={"fall": record(slope, self.unit)},
            curves=(drawn(question, curve_of(row, "gradient"), "gradient", logarithmic=True),),
        )


def _over(slope: Interval) -> str:
    """Say what is left after all steps."""
    return f"to {math.exp(-slope.value * (FAR - NEAR)):.2g} of it over {FAR - NEAR} steps"
