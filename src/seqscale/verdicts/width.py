"""Claims on width: what doubling the state does to a step: its work and parallelism, counted, its time, measured."""

from __future__ import annotations

import math
from typing import Any, ClassVar, final

from seqscale.fit.interval import Interval, median_ratio_interval
from seqscale.fit.verdict import Decision, equivalence
from seqscale.probes.catalogue import PROBES
from seqscale.records import Cell, LayerSpec, Question
from seqscale.rows import Row, Table
from seqscale.units import format_count, format_value
from seqscale.verdicts.base import AbstractClaim, Curve, CurvePoint, Judgement, Kind, Reason, Stream, Verdict
from seqscale.verdicts.common import judgement, points_of, undecided_for_cells, untimed_launcher
from seqscale.verdicts.counts import CountLaws, count_cell, laws_of, uncounted

WIDENINGS = (8, 16)  # times the width of the stream; at width 64 the kata's own 512 and 1024
STEPS = (2, 3, 4, 5, 8)  # lengths that tell a chain over time from one within a step


class AbstractQuadruples(AbstractClaim):
    """log2 of the ratio between a state of 16 d and one of 8 d is 2 within delta.

    Where a layer has option `hidden`, the state is widened alone: N^2 + N d multiply-adds per gate and step, so that
    the ratio reaches 4 only as N >> d. Other layers are widened whole, stream and state together.
    """

    takeaway = 1
    kind = Kind.equivalence
    delta = 0.10
    stream = Stream.widened
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
        fields = _widened(question, wide)
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
        if not all(self.quantity in row.observations for row in rows):
            return uncounted(self, question, rows)
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


def _widened(question: Question, wide: int) -> dict[str, Any]:
    """Return the fields of a cell whose state has `wide` units."""
    if question.layer.widen == "hidden":
        return {"options": tuple(sorted({**dict(question.scope.options), "hidden": wide}.items()))}
    return {"width": wide}


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


@final
class NoParallelism(AbstractClaim):
    """Counted twice: what can run at once within a step, and what still waits from step to step."""

    id = "width.no-parallelism"
    takeaway = 1
    sentence = "A wider state does nothing for parallelism."
    kind = Kind.equivalence
    estimand = "log2 of parallelism (work over ideal span of one step) at 16 d over that at 8 d, against 0"
    delta = 0.10
    stream = Stream.widened

    def applies(self, layer: LayerSpec) -> bool:
        """Layers with a state that can be widened."""
        return layer.widen is not None

    def requires(self, question: Question) -> tuple[Cell, ...]:
        """Return, for the narrow and the wide state, the count of one step and those of a few lengths."""
        return tuple(cell for times in WIDENINGS for cell in self._cells(question, times * question.scope.width))

    def _cells(self, question: Question, wide: int) -> tuple[Cell, ...]:
        return tuple(count_cell(question, length, **_widened(question, wide)) for length in (1, *STEPS))

    def judge(self, question: Question, table: Table) -> Judgement:
        """Judge the parallelism within a step; say beside it how the span grows across steps."""
        sizes = [times * question.scope.width for times in WIDENINGS]
        rows = [table.rows_of(self._cells(question, size)) for size in sizes]
        flat = tuple(row for found in rows for row in found)
        if not all(row.ok for row in flat):
            return undecided_for_cells(self, question, flat)
        if not all("ideal_span" in row.observations for row in flat):
            return uncounted(self, question, flat)
        steps = [found[0].observations for found in rows]
        within = [step["work"].value / step["ideal_span"].value for step in steps]
        across = [laws_of(f"{question.layer.name} {size}", found[1:]) for size, found in zip(sizes, rows, strict=True)]
        ratio = within[1] / within[0]
        log = math.log2(ratio)
        name = question.layer.widen
        statement = (
            f"within one step work over ideal span grows {ratio:.2f}x, from {format_count(within[0])} flop a step at "
            f"{name} {sizes[0]} to {format_count(within[1])} at {sizes[1]}; {_across(sizes, across)}"
        )
        evidence = {
            "log2_ratio": {"value": log, "unit": "1"},
            "parallelism_of_a_step": {"value": within, "unit": "flop/step"},
            "sizes": {"value": sizes, "unit": "units", "what": name},
            "ideal_span": {
                "text": [None if laws is None else laws.exponent("ideal_span").text for laws in across],
                "unit": "steps",
            },
        }
        return judgement(
            self,
            question,
            Verdict[equivalence(log, log, log, log, 0.0, self.delta).name],
            statement,
            headline=f"{ratio:.2f}x in a step, {sizes[0]} to {sizes[1]}",
            evidence=evidence,
            curves=tuple(laws.curve("ideal_span") for laws in across if laws is not None),
        )


def _across(sizes: list[int], across: list[CountLaws | None]) -> str:
    """Say how the ideal span grows with the length at both sizes, and what a wider state does to it."""
    if any(laws is None or laws.ideal_span is None for laws in across):
        return f"no exact law verifies for the ideal span at T = {STEPS[0]}..{STEPS[-1]}"
    powers = [laws.exponent("ideal_span") for laws in across if laws is not None]
    spans = " and ".join(f"{p.text} at {size}" for p, size in zip(powers, sizes, strict=True))
    said = f"across time the ideal span is {spans} (exact for T {STEPS[0]}..{STEPS[-1]})"
    return f"{said}: a wider state adds none there" if all(p.value >= 1 for p in powers) else said
