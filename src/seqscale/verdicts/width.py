"""Claims on width: doubling the state quadruples the work of a step, counted, and its time, measured."""

from __future__ import annotations

import math
from typing import Any, ClassVar, final

from seqscale.fit.interval import Interval, median_ratio_interval
from seqscale.fit.verdict import Decision, equivalence
from seqscale.probes.catalogue import PROBES
from seqscale.records import Cell, LayerSpec, Question, Row, Table
from seqscale.units import format_value
from seqscale.verdicts.base import AbstractClaim, Curve, CurvePoint, Judgement, Kind, Reason, Verdict
from seqscale.verdicts.common import judgement, points_of, undecided_for_cells, untimed_launcher

WIDENINGS = (8, 16)  # times the width of the stream; at width 64 the kata's own 512 and 1024


class AbstractQuadruples(AbstractClaim):
    """log2 of the ratio between a state of 16 d and one of 8 d is 2 within delta.

    Where a layer has option `hidden`, the state is widened alone: N^2 + N d multiply-adds per gate and step, so that
    the ratio reaches 4 only as N >> d. Other layers are widened whole, stream and state together.
    """

    takeaway = 1
    kind = Kind.equivalence
    delta = 0.10
    widens = True
    probe: ClassVar[str]
    quantity: ClassVar[str]
    length: ClassVar[int]
    per: ClassVar[str]  # what `quantity` is of, in words

    def applies(self, layer: LayerSpec) -> bool:
        """Layers with a state that can be widened."""
        return layer.widen is not None

    def requires(self, question: Question) -> tuple[Cell, ...]:
        """Return the cells of the narrow and the wide state."""
        return tuple(self._cell(question, times * question.scope.width) for times in WIDENINGS)

    def _cell(self, question: Question, wide: int) -> Cell:
        fields: dict[str, Any] = (
            {"options": tuple(sorted({**dict(question.scope.options), "hidden": wide}.items()))}
            if question.layer.widen == "hidden"
            else {"width": wide}
        )
        if self.probe == "count":
            fields["launcher"] = untimed_launcher(question)
        return question.scope.cell(
            self.probe,
            PROBES[self.probe].version,
            question.layer,
            algorithm=question.algorithm,
            mode="forward",
            length=self.length,
            **fields,
        )

    def judge(self, question: Question, table: Table) -> Judgement:
        """Judge by the equivalence rule on log2 of the ratio."""
        rows = table.rows_of(self.requires(question))
        if not all(row.ok for row in rows):
            return undecided_for_cells(self, question, rows)
        narrow, wide = (points_of([row], self.quantity).rounds[0] for row in rows)
        log = median_ratio_interval(wide, narrow)
        ratio, low, high = (2**bound for bound in (log.value / LOG2, log.low95 / LOG2, log.high95 / LOG2))
        text = f"{ratio:.2f}x" if low == high else f"{ratio:.2f}x [{low:.2f}, {high:.2f}]"
        verdict, reason = _verdict(_decide(log, self.delta))
        sizes = [times * question.scope.width for times in WIDENINGS]
        values = [row.observations[self.quantity].value for row in rows]
        name = question.layer.widen
        shown = [f"{size} ({format_value(self.quantity, v)})" for size, v in zip(sizes, values, strict=True)]
        statement = f"{self.quantity} {self.per} grows {text} from {name} {shown[0]} to {shown[1]}"
        if name == "hidden":
            narrow_n, wide_n = (size * (size + question.scope.width) for size in sizes)
            statement += f"; N^2 + N d multiply-adds a gate: {narrow_n:,} to {wide_n:,}, {wide_n / narrow_n:.2f}x"
        evidence = {
            "ratio": {"value": ratio, "low": low, "high": high, "unit": "1"},
            "log2_ratio": {"value": log.value / LOG2, "low": log.low95 / LOG2, "high": log.high95 / LOG2, "unit": "1"},
            "sizes": {"value": sizes, "unit": "units", "what": name},
            self.quantity: {"value": values, "unit": rows[0].observations[self.quantity].unit},
        }
        return judgement(
            self,
            question,
            verdict,
            statement,
            reason=reason,
            headline=f"{text}, {sizes[0]} to {sizes[1]}",
            evidence=evidence,
            curves=(self._curve(question, rows, sizes),),
        )

    def _curve(self, question: Question, rows: tuple[Row, ...], sizes: list[int]) -> Curve:
        observed = [row.observations[self.quantity] for row in rows]
        return Curve(
            label=f"{question.layer.name}/{question.algorithm}",
            quantity=self.quantity,
            x_name=question.layer.widen or "width",
            points=tuple(
                CurvePoint(x=x, y=o.value, low=o.low, high=o.high) for x, o in zip(sizes, observed, strict=True)
            ),
            law=(),
            law_text="two sizes: a ratio, no law",
            exact=self.probe == "count",
        )


LOG2 = math.log(2)


def _decide(log: Interval, delta: float) -> Decision:
    low90, high90, low95, high95 = (bound / LOG2 for bound in (log.low90, log.high90, log.low95, log.high95))
    return equivalence(low90, high90, low95, high95, 2.0, delta)


def _verdict(decision: Decision) -> tuple[Verdict, Reason | None]:
    verdict = Verdict[decision.name]
    return verdict, Reason.noise if verdict is Verdict.undecided else None


@final
class WorkQuadruples(AbstractQuadruples):
    """Counted: floating-point operations of one step."""

    id = "width.work-quadruples"
    sentence = "Doubling the state quadruples the work of a step."
    estimand = "log2 of work(16 d) / work(8 d) of one step, against 2"
    probe, quantity, length, per = "count", "work", 1, "of one step"


@final
class TimeQuadruples(AbstractQuadruples):
    """Measured: seconds of a forward pass."""

    id = "width.time-quadruples"
    sentence = "Doubling the state quadruples the time of a step."
    estimand = "log2 of time(16 d) / time(8 d) of a forward pass of 64 steps, against 2"
    probe, quantity, length, per = "time", "time", 64, "of 64 steps"
