"""What every claim shares: its scope in words, and what is said while cells are missing."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from seqscale.fit.exact import ExactLaw
from seqscale.fit.points import Points
from seqscale.records import Question
from seqscale.rows import OutcomeKind, Row, Table
from seqscale.verdicts.base import AbstractClaim, Curve, CurvePoint, Judgement, Reason, Verdict

# The smallest floor that is ever assumed: below 1 % the same machine differs from itself (research/measure.md, E5).
SMALLEST_FLOOR = 0.01

LONGEST_LOOP = 128  # tracing a Python loop costs about 10 ms a step; longer ones are measured by the time probe only
FEWEST_LENGTHS = 3  # of exact counts; measured times need more


def scope_record(question: Question) -> dict[str, Any]:
    """Return where a judgement holds, JSON-ready; lengths as the smallest and the largest."""
    scope = question.scope
    return {
        "lengths": [scope.lengths[0], scope.lengths[-1]],
        "width": scope.width,
        "batch": scope.batch,
        "dtype": scope.dtype,
        "device": scope.device,
        "threads": scope.threads,
        "seed": scope.seed,
        "options": dict(scope.options),
        "machine": scope.machine,
        "torch": scope.torch,
    }


def as_measured(question: Question, rows: Sequence[Row]) -> Question:
    """Return the question with the scope that its cells really have."""
    first = rows[0].cell
    scope = replace(
        question.scope, lengths=tuple(sorted({row.cell.length for row in rows})), width=first.width, batch=first.batch,
        threads=first.threads, options=first.options, launcher=first.launcher,
    )  # fmt: skip
    return replace(question, scope=scope)


def judgement(
    claim: AbstractClaim,
    question: Question,
    verdict: Verdict,
    statement: str,
    *,
    reason: Reason | None = None,
    headline: str = "",
    evidence: Mapping[str, Any] | None = None,
    curves: tuple[Curve, ...] = (),
    missing: Iterable[Row] = (),
) -> Judgement:
    """Build the judgement of `claim` on `question`; see Judgement for the fields."""
    return Judgement(
        claim=claim.id,
        takeaway=claim.takeaway,
        layer=question.layer.name,
        algorithm=question.algorithm,
        verdict=verdict,
        reason=reason,
        statement=statement,
        headline=headline,
        scope=scope_record(question),
        evidence=evidence or {},
        curves=curves,
        missing=tuple(row.cell for row in missing),
    )


def undecided_for_cells(
    claim: AbstractClaim, question: Question, rows: tuple[Row, ...], curves: tuple[Curve, ...] = ()
) -> Judgement:
    """Return the undecided judgement for rows of which too few were measured, naming the first that stands in the way.

    All were measured: there are too few lengths to tell a law. Cells that nobody has measured yet, and cells skipped
    for their cost, can be bought: reason `budget`. Any other outcome is the layer's or the machine's own: reason
    `unanswerable`.
    """
    absent = tuple(row for row in rows if not row.ok)
    if not absent:
        count = len({row.cell.length for row in rows})
        said = f"too few lengths to tell a law ({count}): give at least 5 over two octaves, as --lengths 64:4096"
        return judgement(claim, question, Verdict.undecided, said, reason=Reason.reach, curves=curves)
    bought = [row for row in absent if row.outcome is None or row.outcome.kind is OutcomeKind.skipped]
    evidence = {"cells": len(rows), "measured": len(rows) - len(absent)}
    for row in absent:
        if row.outcome is not None and row not in bought:
            said = f"{row.cell.label()}: {row.outcome.kind.name}, {row.outcome.reason}"
            return judgement(
                claim, question, Verdict.undecided, said, reason=Reason.unanswerable,
                evidence=evidence, curves=curves, missing=absent,
            )  # fmt: skip
    said = f"{len(absent)} of {len(rows)} cells are not measured, the first: {absent[0].cell.label()}"
    return judgement(
        claim, question, Verdict.undecided, said, reason=Reason.budget, evidence=evidence, curves=curves, missing=absent
    )


def loop_lengths(question: Question) -> tuple[int, ...]:
    """Return the scope's lengths; of a Python loop only those that can be traced in a second, but at least three."""
    lengths = question.scope.lengths
    if question.algorithm != "reference":
        return lengths
    short = tuple(n for n in lengths if n <= LONGEST_LOOP)
    return short if len(short) >= FEWEST_LENGTHS else lengths[:FEWEST_LENGTHS]


def untimed_launcher(question: Question) -> str:
    """Return how counts and memory cells are launched: on a CPU each in a fork, whatever the study's times need."""
    return "fork" if question.scope.device == "cpu" else question.scope.launcher


def degree(law: ExactLaw, **fixed: int) -> float:
    """Return the exponent of T that an exact law grows with; `fixed` gives its other sizes.

    A law with a logarithm has no power of its own: its slope over the last octave that it reproduces is taken, which
    tells T log T from T.
    """
    growth = law.growth("T")
    if not growth.log:
        return float(growth.power)
    high = law.reach("T")[1]
    half = max(1, high // 2)
    return math.log(law.value(T=high, **fixed) / law.value(T=half, **fixed)) / math.log(high / half)


def points_of(rows: Iterable[Row], quantity: str, by: str = "length") -> Points:
    """Collect the measured rows as points over the cell field `by`."""
    return Points.of((getattr(row.cell, by), row.observations[quantity]) for row in rows)


def curve_points(rows: Iterable[Row], quantity: str) -> tuple[CurvePoint, ...]:
    """Return the measured rows as curve points over length, lengths rising."""
    ordered = sorted(rows, key=lambda row: row.cell.length)
    seen = [(row.cell.length, row.observations[quantity]) for row in ordered]
    return tuple(CurvePoint(x=x, y=o.value, low=o.low, high=o.high) for x, o in seen)


@lru_cache(maxsize=4)  # one table is judged by many questions
def noise_floor(table: Table) -> float:
    """Return the session's noise floor: how far two labels of the same cell differ.

    The 95th percentile of |log ratio| of the medians of a cell's two A/A lanes, over all cells that were measured
    twice; at least SMALLEST_FLOOR.
    """
    differences = sorted(
        abs(math.log(statistics.median(s.value for s in twins) / row.observations[name].value))
        for row in table
        if row.ok
        for name, twins in row.twins.items()
        if name == "time" and name in row.observations and len(twins) >= 5
    )
    if not differences:
        return SMALLEST_FLOOR
    return max(SMALLEST_FLOOR, differences[min(len(differences) - 1, math.ceil(0.95 * len(differences)) - 1)])
