"""The claim that the instruments read what is known, and how other claims rest on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, final

from seqscale.probes.catalogue import INSTRUMENT, PROBES
from seqscale.records import INSTRUMENT_NAME, Cell, LayerSpec, Question
from seqscale.rows import OutcomeKind, Row, Table
from seqscale.verdicts.base import AbstractClaim, Judgement, Kind, Reason, Stream, Verdict
from seqscale.verdicts.common import judgement, undecided_for_cells, untimed_launcher

LARGEST_ERROR = 1.0  # tolerances: each comparison of a check declares its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What keeps measured numbers from being a verdict."""

    reason: Reason
    said: str
    missing: tuple[Row, ...] = ()
    evidence: dict[str, Any] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """Return the fault as JSON-ready data."""
        return {"said": self.said, **self.evidence}


def calibration_cell(question: Question, check: str) -> Cell:
    """Return the cell of one check: the same for every question of a store, as nothing of the layer enters it."""
    spec = PROBES["calibration"]
    return question.scope.cell(
        spec.name, spec.version, INSTRUMENT, algorithm=check, mode=spec.modes[0], length=1, width=1, batch=1,
        options=(), dtype="float64", threads=1, seed=0, launcher=untimed_launcher(question), conditions=(),
    )  # fmt: skip


def calibration_fault(rows: Sequence[Row]) -> Fault | None:
    """Return what is wrong with the checks that a claim rests on: the first that failed, or those not measured yet."""
    waiting = []
    for row in rows:
        check = row.cell.algorithm
        if row.outcome is None or row.outcome.kind is OutcomeKind.skipped:
            waiting.append(row)
        elif "calibration_error" not in row.observations:
            said = f"the check '{check}' of the instrument did not run: {row.outcome.kind.name}, {row.outcome.reason}"
            return Fault(reason=Reason.instrument, said=said, missing=(row,))
        elif row.observations["calibration_error"].value > LARGEST_ERROR:
            error = row.observations["calibration_error"].value
            said = f"the check '{check}' of the instrument failed: {error:.3g} tolerances off"
            return Fault(
                reason=Reason.instrument, said=said, evidence={"check": check, "value": error, "unit": "tolerances"}
            )
    if not waiting:
        return None
    said = f"the instrument is not checked yet: {', '.join(row.cell.algorithm for row in waiting)}"
    return Fault(reason=Reason.budget, said=said, missing=tuple(waiting))


@final
class KnownValues(AbstractClaim):
    """One check of one instrument, run through the same functions as its probe."""

    id = "instrument.known-values"
    takeaway = 0
    sentence = "The instrument reads what is known."
    kind = Kind.universal
    estimand = "largest distance between what the instrument reads and what is known, over what is allowed, against 1"
    delta = LARGEST_ERROR
    stream = Stream.tokens
    subject = INSTRUMENT
    costs = False

    def applies(self, layer: LayerSpec) -> bool:
        """The instruments, which stand in place of a layer."""
        return layer.family == INSTRUMENT_NAME

    def requires(self, question: Question) -> tuple[Cell, ...]:
        """Return the cell of the check that the question names as its algorithm."""
        return (calibration_cell(question, question.algorithm),)

    def judge(self, question: Question, table: Table) -> Judgement:
        """Judge by the error, in tolerances."""
        rows = table.rows_of(self.requires(question))
        if not all(row.ok for row in rows):
            return undecided_for_cells(self, question, rows)
        seen = rows[0].observations.get("calibration_error")
        if seen is None:
            said = f"{rows[0].cell.label()} has no calibration_error"
            return judgement(self, question, Verdict.undecided, said, reason=Reason.instrument)
        verdict = Verdict.supported if seen.value <= self.delta else Verdict.contradicted
        said = f"{seen.value:.3g} tolerances"
        return judgement(
            self,
            question,
            verdict,
            f"{question.algorithm}: at most {said} off what is known, where {self.delta:g} is allowed",
            headline=f"{said} off",
            evidence={"calibration_error": {"value": seen.value, "unit": "tolerances"}, "delta": self.delta},
        )
