"""The frame of every claim on what a state remembers: replicates in, one judgement out, and no verdict from a fault.

    cells -> rows -> find -> Finding -> (gaps, calibration, controls) -> Judgement

Each claim registers its own cells, for a quick and for a full study, in its own file; the sizes of the study's other
claims do not enter. A state has `hidden` numbers where that is an option of the layer, else what the width gives.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from seqscale.fit.interval import Interval
from seqscale.fit.verdict import Decision, average
from seqscale.probes.catalogue import PROBES
from seqscale.records import Cell, LayerSpec, Option, Question
from seqscale.rows import OutcomeKind, Row, Table
from seqscale.verdicts.base import AbstractClaim, Curve, Judgement, Kind, Reason, Stream, Verdict
from seqscale.verdicts.calibration import Fault, calibration_cell, calibration_fault
from seqscale.verdicts.common import as_measured, judgement, undecided_for_cells, untimed_launcher
from seqscale.verdicts.readings import UnreadError, Values, scope_text

HIDDEN = 16  # numbers of the state, the kata's own
SYMBOLS = 8  # V: three bits a token
REPLICATES: Mapping[str, int] = MappingProxyType({"quick": 5, "full": 16})  # of what is not trained
CONTROL, CONTROL_SHARE = 0.9, 0.8  # a positive control reaches this value, in this share of its replicates


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What the rows say, before it is asked whether the instruments were right.

    Attributes:
        decision: by the rule of the claim's kind.
        statement, headline, evidence, curves: as in Judgement.
        fault: what keeps it from being a verdict, seen in the rows themselves.
    """

    decision: Decision
    statement: str
    headline: str
    evidence: Mapping[str, Any]
    curves: tuple[Curve, ...] = ()
    fault: Fault | None = None


class AbstractReplicated(AbstractClaim):
    """A claim on the mean over draws of weights and data.

    Class attributes beside those of AbstractClaim:

        checks: of the calibration, that its instruments must pass.
        unit: of the estimand and of delta.
    """

    stream = Stream.tokens
    every_algorithm = False
    costs = False
    checks: ClassVar[tuple[str, ...]]
    unit: ClassVar[str]

    @abc.abstractmethod
    def cells(self, question: Question) -> tuple[Cell, ...]:
        """Return the cells that are judged."""

    def beside(self, question: Question) -> tuple[Cell, ...]:
        """Return cells that are not judged: positive controls, which support waits for, and what is said besides."""
        return ()

    @abc.abstractmethod
    def find(self, question: Question, rows: tuple[Row, ...], beside: tuple[Row, ...]) -> Finding:
        """Judge the measured rows.

        Args:
            question: as it was asked.
            rows: those of `cells`: all measured, or for a universal sentence those that are.
            beside: those of `beside`, measured or not.

        Raises:
            UnreadError: a row does not hold what its probe writes.
        """

    def requires(self, question: Question) -> tuple[Cell, ...]:
        """Return the cells that are judged, those beside them, and the checks of the instruments."""
        checks = (calibration_cell(question, check) for check in self.checks)
        return tuple(dict.fromkeys((*self.cells(question), *self.beside(question), *checks)))

    def judge(self, question: Question, table: Table) -> Judgement:
        """Judge by the rule of the claim's kind; a gap, an unread row or a fault leaves it undecided."""
        rows = table.rows_of(self.cells(question))
        asked = as_measured(question, rows)
        seen = tuple(row for row in rows if row.ok)
        whole = len(seen) == len(rows)
        if not seen or not (whole or self.kind is Kind.universal):
            return undecided_for_cells(self, asked, rows)
        try:
            found = self.find(question, seen, table.rows_of(self.beside(question)))
        except UnreadError as error:
            return judgement(self, asked, Verdict.undecided, error.said, reason=error.reason)
        if not whole and found.decision is not Decision.contradicted:
            return undecided_for_cells(self, asked, rows, found.curves)
        checks = table.rows_of(calibration_cell(question, check) for check in self.checks)
        fault = calibration_fault(checks) or found.fault
        verdict = Verdict.undecided if fault is not None else Verdict[found.decision.name]
        reason = None
        if verdict is Verdict.undecided:
            reason = fault.reason if fault is not None else Reason.replicates
        said = [fault.said] if fault is not None else []
        return judgement(
            self,
            asked,
            verdict,
            "; ".join([*said, found.statement, scope_text(seen)]),
            reason=reason,
            headline=found.headline,
            evidence={**found.evidence, **self._registered(seen), "fault": None if fault is None else fault.record()},
            curves=found.curves,
            missing=(*(row for row in rows if not row.ok), *(fault.missing if fault is not None else ())),
        )

    def by_average(self, effect: Interval, unit: str = "") -> tuple[Decision, str]:
        """Return the decision on an effect whose positive side is the sentence's, and what to add where it fails."""
        decision = average(effect.low95, effect.high95, self.delta)
        if decision is not Decision.contradicted:
            return decision, ""
        word = "reversed" if effect.high95 < 0 else f"below the {self.delta:g} that would matter"
        return decision, f"; {word}"

    def _registered(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Return what was written down beforehand and which cells answered it, JSON-ready."""
        return {
            "delta": {"value": self.delta, "unit": self.unit},
            "cells": [row.cell.label() for row in rows],
            "seed": rows[0].cell.seed,
            "checks": list(self.checks),
        }


def information_cell(
    question: Question,
    probe: str,
    length: int,
    given: Mapping[str, Option],
    *,
    width: int = SYMBOLS,
    hidden: int | None = None,
    layer: LayerSpec | None = None,
) -> Cell:
    """Return the cell of a probe of information.

    Args:
        question: gives layer, algorithm, dtype, device, seed.
        probe: its name.
        length: T.
        given: conditions; the probe's defaults for the others.
        width: of the stream, at least; a user may ask for more.
        hidden: numbers of the state where they are an option of the layer; None: as `state_hidden`.
        layer: another layer than the question's, a control: without the question's options, by its fastest algorithm.
    """
    spec, scope = PROBES[probe], question.scope
    asked, options, algorithm = question.layer, dict(scope.options), question.algorithm
    if layer is not None and layer.name != asked.name:
        asked, options, algorithm = layer, {}, layer.fastest or layer.algorithms[0]
    width = max(width, scope.width)
    if asked.widen == "hidden":
        options["hidden"] = state_hidden(question, width) if hidden is None else hidden
    return scope.cell(
        probe, spec.version, asked, algorithm=algorithm, mode=spec.modes[0], length=length, width=width, batch=1,
        options=tuple(sorted(options.items())), threads=1, launcher=untimed_launcher(question),
        conditions=spec.settle(given, length, width),
    )  # fmt: skip


def state_hidden(question: Question, least: int) -> int:
    """Return the numbers of the state where they are an option: the user's, else HIDDEN or the stream's width.

    Args:
        question: gives what the user says.
        least: no fewer than these unless the user says so; the width, since outputs are some of the state's numbers.
    """
    own = dict(question.scope.options).get("hidden")
    return own if isinstance(own, int) else max(HIDDEN, least, question.scope.width)


def control_fault(row: Row, values: Values | None, what: str) -> Fault | None:
    """Return why a positive control does not hold, None where it does.

    Args:
        row: of the control.
        values: by replicate, of which the best possible is 1; None: not measured.
        what: of what they are, in words.
    """
    if values is None:
        waiting = row.outcome is None or row.outcome.kind is OutcomeKind.skipped
        why = "is not measured" if row.outcome is None else f"{row.outcome.kind.name}: {row.outcome.reason}"
        return Fault(
            reason=Reason.budget if waiting else Reason.control, said=f"the control {row.cell.label()} {why}",
            missing=(row,),
        )  # fmt: skip
    reached = sum(value >= CONTROL for value in values)
    if reached >= CONTROL_SHARE * len(values):
        return None
    said = f"the control failed: {what} reaches {CONTROL:g} in {reached} of {len(values)} replicates"
    return Fault(reason=Reason.control, said=said, evidence={"control": {"value": list(values), "unit": "1"}})
