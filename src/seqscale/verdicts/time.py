"""Claims on time: the time of a layer is linear in the length."""

from __future__ import annotations

from typing import Any, ClassVar, final

from seqscale.fit.classes import ClassSet, growth_classes
from seqscale.fit.power import PowerFit, fit_power
from seqscale.fit.regime import RegimeChange, lack_of_fit
from seqscale.fit.slope import Slope, local_slope
from seqscale.fit.verdict import Decision, equivalence
from seqscale.probes.catalogue import PROBES
from seqscale.records import Cell, LayerSpec, Question
from seqscale.rows import Row, Table
from seqscale.units import format_seconds
from seqscale.verdicts.base import AbstractClaim, Curve, Judgement, Kind, Reason, Verdict
from seqscale.verdicts.common import curve_points, judgement, noise_floor, points_of, undecided_for_cells

LARGEST_OVERHEAD = 0.10  # share of the largest time up to which the fitted overhead leaves the slope alone
FEWEST = 5  # lengths; below, growth classes and a regime change cannot be told


class AbstractLinearTime(AbstractClaim):
    """Time grows linearly: the slope of log time on log T over the last two octaves is 1 within delta."""

    takeaway = 1
    kind = Kind.equivalence
    estimand = "d log time / d log T over the last two octaves, against 1"
    delta = 0.10
    mode: ClassVar[str]

    def applies(self, layer: LayerSpec) -> bool:
        """Every layer has a time."""
        return True

    def requires(self, question: Question) -> tuple[Cell, ...]:
        """Return the time cells of this mode at every length of the scope."""
        return tuple(
            question.scope.cell(
                "time",
                PROBES["time"].version,
                question.layer,
                algorithm=question.algorithm,
                mode=self.mode,
                length=length,
            )
            for length in question.scope.lengths
        )

    def judge(self, question: Question, table: Table) -> Judgement:
        """Judge by the slope; see the module's constants for what makes it undecided."""
        rows = table.rows_of(self.requires(question))
        measured = tuple(row for row in rows if row.ok)
        if len(measured) < FEWEST or measured[-1].cell.length < 4 * measured[0].cell.length:
            return undecided_for_cells(self, question, rows)
        return self._judge_measured(question, table, rows, measured)

    def _judge_measured(
        self, question: Question, table: Table, rows: tuple[Row, ...], measured: tuple[Row, ...]
    ) -> Judgement:
        floor = noise_floor(table)
        points = points_of(measured, "time")
        slope, power, classes = local_slope(points), fit_power(points), growth_classes(points, floor)
        lack = lack_of_fit(points, power, classes)
        change = lack.change
        decision = equivalence(slope.low90, slope.high90, slope.low95, slope.high95, 1.0, self.delta)
        verdict, reason, why = _decide(decision, slope.value, self.delta, power, classes)
        text = f"T^{slope.value:.2f} [{slope.low95:.2f}, {slope.high95:.2f}]"
        last = measured[-1]
        statement = (
            f"{self.mode} time grows as {text} up to T = {last.cell.length}, "
            f"where it is {format_seconds(last.observations['time'].value)}{why}"
        )
        if change is not None:
            shape = f"from T^{change.slope_before:.2f} to T^{change.slope_after:.2f}"
            statement += f"; its growth changes near T = {change.at:.0f}, {shape}"
        elif lack.rejected:
            statement += "; no smooth law fits all lengths"
        law = tuple((x, power.predict(x)) for x in points.x)
        curve = Curve(
            label=f"{question.layer.name}/{question.algorithm} {self.mode}",
            quantity="time",
            x_name="length",
            points=curve_points(measured, "time"),
            law=law,
            law_text=f"{power.text()} s",
        )
        return judgement(
            self,
            question,
            verdict,
            statement,
            reason=reason,
            headline=text,
            evidence=_evidence(slope=slope, power=power, classes=classes, change=change, floor=floor, rows=rows),
            curves=(curve,),
            missing=(row for row in rows if not row.ok),
        )


def _decide(
    decision: Decision, slope: float, delta: float, power: PowerFit, classes: ClassSet
) -> tuple[Verdict, Reason | None, str]:
    """Return verdict, reason and what to add to the sentence.

    An overhead can only flatten a curve. So a slope clearly above 1 contradicts whatever the overhead is; one clearly
    below contradicts only if the exponent of a + b T^p, the overhead taken out, is below as well; and none supports
    before the overhead is small in every law that fits.
    """
    overhead = max(power.overhead_share, *(model.shares[0] for model in classes.members))
    if decision is Decision.contradicted and slope > 1:
        return Verdict.contradicted, None, ""
    if classes.word == "constant":
        return Verdict.undecided, Reason.reach, "; constant within noise"
    if overhead > LARGEST_OVERHEAD:
        return Verdict.undecided, Reason.reach, f"; a constant part may still be {overhead:.0%} of it"
    if decision is Decision.contradicted:
        if power.p_high < 1 - delta:
            return Verdict.contradicted, None, ""
        return Verdict.undecided, Reason.reach, f"; a constant part of {overhead:.0%} flattens it"
    faster = [word for word in classes.classes if word not in ("constant", "linear")]
    why = "" if "linear" in classes.classes else f"; the laws that fit have a faster part ({' or '.join(faster)})"
    if decision is Decision.undecided:
        return Verdict.undecided, Reason.noise, why
    return Verdict.supported, None, why


def _evidence(
    *,
    slope: Slope,
    power: PowerFit,
    classes: ClassSet,
    change: RegimeChange | None,
    floor: float,
    rows: tuple[Row, ...],
) -> dict[str, Any]:
    return {
        "slope": {"value": slope.value, "low": slope.low95, "high": slope.high95, "unit": "1"},
        "law": {"text": power.text(), "unit": "s"},
        "overhead_share": {"value": power.overhead_share, "unit": "1"},
        "growth_class": classes.word,
        "regime_change": None if change is None else {"value": change.at, "unit": "tokens"},
        "noise_floor": {"value": floor, "unit": "1"},
        "cells": len(rows),
        "measured": sum(row.ok for row in rows),
    }


@final
class LinearForward(AbstractLinearTime):
    """The forward pass."""

    id = "time.linear-forward"
    sentence = "The time of a forward pass grows linearly with the sequence length."
    mode = "forward"


@final
class LinearTraining(AbstractLinearTime):
    """Forward and backward together."""

    id = "time.linear-training"
    sentence = "The time of a training step (forward and backward) grows linearly with the sequence length."
    mode = "training"
