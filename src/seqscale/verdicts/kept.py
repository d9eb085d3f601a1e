"""Claims on what truncation and segments save: counts of what is kept for the backward pass, nothing executed."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from typing import ClassVar, final

from seqscale.fit.verdict import Decision, average
from seqscale.probes.catalogue import PROBES
from seqscale.records import Cell, LayerSpec, Question
from seqscale.rows import Row, Table
from seqscale.units import format_bytes
from seqscale.verdicts.base import AbstractClaim, Curve, CurvePoint, Judgement, Kind, Reason, Verdict
from seqscale.verdicts.common import as_measured, judgement, undecided_for_cells, untimed_launcher

WHOLE, PART = 128, 16  # tokens: one pass, and a window or segment of an eighth


class AbstractSaved(AbstractClaim):
    """A claim on the bytes kept by one pass and by a part of it, counted."""

    takeaway = 3
    kind = Kind.average
    delta = 1.0
    every_algorithm = False
    costs = False
    modes: ClassVar[tuple[tuple[str, int], ...]] = (("training", WHOLE), ("training", PART))

    def applies(self, layer: LayerSpec) -> bool:
        """Every layer."""
        return True

    def requires(self, question: Question) -> tuple[Cell, ...]:
        """Return the counts."""
        version = PROBES["count"].version
        return tuple(
            question.scope.cell(
                "count", version, question.layer, algorithm=question.algorithm, mode=mode, length=length,
                launcher=untimed_launcher(question),
            )
            for mode, length in self.modes
        )  # fmt: skip

    def judge(self, question: Question, table: Table) -> Judgement:
        """Judge by the ratio of exact counts."""
        rows = table.rows_of(self.requires(question))
        question = as_measured(question, rows)
        if not all(row.ok for row in rows):
            return undecided_for_cells(self, question, rows)
        lacking = [row for row in rows if not _bytes(row)]
        if lacking:
            said = f"{lacking[0].cell.label()}: nothing is kept, so that there is no ratio"
            return judgement(self, question, Verdict.undecided, said, reason=Reason.unanswerable)
        decision, effect, statement, headline = self.decide([_bytes(row) for row in rows])
        return judgement(
            self,
            question,
            Verdict[decision.name],
            f"{statement}; T = {WHOLE}, counted",
            headline=headline,
            evidence={
                "effect": {"value": effect, "unit": "1"},
                "bytes": [{"of": row.cell.label(), "value": _bytes(row), "unit": "B"} for row in rows],
                "delta": {"value": self.delta, "unit": "1"},
            },
            curves=(_curve(question, rows),),
        )

    @abc.abstractmethod
    def decide(self, counts: Sequence[int]) -> tuple[Decision, float, str, str]:
        """Return the decision, the effect that it rests on, the statement and the headline, by the bytes of `modes`."""


@final
class TruncationSaves(AbstractSaved):
    """A window of k tokens against one pass."""

    id = "truncation.saves-memory"
    sentence = "Truncating backpropagation to an eighth of the sequence at least halves what it keeps."
    estimand = "log2 of bytes kept by T = 128 tokens over those by k = 16"

    def decide(self, counts: Sequence[int]) -> tuple[Decision, float, str, str]:
        """Count halvings."""
        whole, part = counts
        ratio = whole / part
        effect = math.log2(ratio)
        said = f"one pass keeps {format_bytes(whole)}, a window of {PART} tokens {format_bytes(part)}: "
        said += f"{ratio:.3g}x less, where T/k is {WHOLE / PART:g}"
        return average(effect, effect, self.delta), effect, said, f"{ratio:.3g}x less, exact"


@final
class SegmentsSave(AbstractSaved):
    """A segment and the state that is carried to the next."""

    id = "segments.saves-memory"
    sentence = "Training in segments of an eighth at least halves what is kept, the carried state included."
    estimand = "log2 of bytes kept by one pass of T over those of a segment of T/8 and the state carried after T tokens"
    modes = (*AbstractSaved.modes, ("decode", WHOLE))

    def decide(self, counts: Sequence[int]) -> tuple[Decision, float, str, str]:
        """Support a half or less."""
        whole, part, state = counts
        ratio = whole / (part + state)
        said = f"one pass keeps {format_bytes(whole)}, a segment of {PART} tokens {format_bytes(part)}"
        said += f" and the state {format_bytes(state)}: {ratio:.3g}x less"
        effect = math.log2(ratio)
        return average(effect, effect, self.delta), effect, said, f"{ratio:.3g}x less, exact"


def _bytes(row: Row) -> int:
    """Return what a row keeps: for the backward pass, or as a state; 0 where that was not counted."""
    name = _quantity(row)
    return int(row.observations[name].value) if name in row.observations else 0


def _quantity(row: Row) -> str:
    return "state_bytes" if row.cell.mode == "decode" else "saved_bytes"


def _curve(question: Question, rows: Sequence[Row]) -> Curve:
    """Return bytes kept against the length of what is passed at once."""
    kept = sorted((row for row in rows if row.cell.mode == "training"), key=lambda row: row.cell.length)
    points = [CurvePoint(x=row.cell.length, y=_bytes(row), low=_bytes(row), high=_bytes(row)) for row in kept]
    return Curve(
        label=f"{question.layer.name}/{question.algorithm} kept", quantity="saved_bytes", x_name="length",
        points=tuple(points), law=(), law_text="two counts: a ratio, no law", exact=True,
    )  # fmt: skip
