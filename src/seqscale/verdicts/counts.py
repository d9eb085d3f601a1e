"""Exact counts of one forward pass over the length, and the laws that they follow: what every claim on span stands on.

law_cells -> (measured) -> count_laws -> CountLaws: work, traffic, kernels, kernel span and ideal span in T
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from seqscale.fit.exact import ExactLaw, exact_law
from seqscale.fit.power import PowerFit, fit_power
from seqscale.probes.catalogue import PROBES
from seqscale.records import Cell, Question
from seqscale.rows import Row, Table
from seqscale.verdicts.base import AbstractClaim, Curve, CurvePoint, Judgement, Reason, Verdict
from seqscale.verdicts.common import FEWEST_LENGTHS, degree, judgement, points_of, undecided_for_cells, untimed_launcher

# On both sides of powers of two, where trees grow a level, and of common chunk sizes; then the lengths held out: the
# prime and the longest are never what a law is solved from. A length of 1 often takes a path of its own. Tracing a
# Python loop costs up to 10 ms a step: fewer lengths, and one held out.
LENGTHS = (2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 521, 3000, 4096)
LOOP_LENGTHS = (2, 3, 4, 5, 7, 8, 9, 16, 17, 33, 64, 521)

WHOLE = {"work", "ideal_span"}  # what a count lacks when one of its operators has no law
COUNTS = ("work", "traffic_bytes", "kernels", "kernel_span", "ideal_span")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exponent:
    """How fast a count grows with the length.

    Attributes:
        value: the power of an exact law, or a fitted one.
        low90, high90, low95, high95: intervals of the exponent; of an exact law, the value.
        text: the law in words, without a unit.
        exact: an exact law was verified.
    """

    value: float
    low90: float
    high90: float
    low95: float
    high95: float
    text: str
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CountLaws:
    """The laws in T of one layer and algorithm, at the scope's batch and width; None where none verifies.

    Attributes:
        label: `gru/library`.
        work, traffic, kernels, kernel_span, ideal_span: in flop, B, kernels, kernels and steps.
        rows: the counts behind them, lengths rising.
    """

    label: str
    work: ExactLaw | None
    traffic: ExactLaw | None
    kernels: ExactLaw | None
    kernel_span: ExactLaw | None
    ideal_span: ExactLaw | None
    rows: tuple[Row, ...]

    @property
    def uncounted(self) -> str | None:
        """Why work and spans are a lower bound that no verdict may rest on; None where all is counted."""
        return next((_note(row) for row in self.rows if not row.observations.keys() >= WHOLE), None)

    def law(self, name: str) -> ExactLaw | None:
        """Return the law of a quantity in COUNTS."""
        return self.traffic if name == "traffic_bytes" else getattr(self, name)

    def exponent(self, name: str) -> Exponent:
        """Return how a quantity grows: by its exact law, else by the exponent fitted to the counts.

        A law with a logarithm has no power of its own: its slope over the last octave verified is taken, which tells
        T log T from T.
        """
        law = self.law(name)
        if law is None:
            return _fitted(fit_power(points_of(self.rows, name)))
        p = degree(law)
        return Exponent(value=p, low90=p, high90=p, low95=p, high95=p, text=law.text(), exact=True)

    def value(self, name: str, length: int) -> float:
        """Return a quantity at one of the lengths counted."""
        return next(row.observations[name].value for row in self.rows if row.cell.length == length)

    def lengths(self) -> tuple[int, ...]:
        """Return the lengths counted, rising."""
        return tuple(row.cell.length for row in self.rows)

    def parallelism(self, length: int) -> float:
        """Return work over ideal span at one of the lengths counted: flop that could run at once."""
        return self.value("work", length) / self.value("ideal_span", length)

    def reach(self) -> str:
        """Say which lengths the law of the ideal span reproduces, and which of them it was not solved from."""
        law = self.ideal_span
        if law is None:
            return f"counted for T {self.rows[0].cell.length}..{self.rows[-1].cell.length}"
        low, high = law.reach("T")
        held = sorted(int(dims["T"]) for dims in law.verified_at)
        return f"exact for T {low}..{high}, held out at {' and '.join(map(str, held[-2:]))}"

    def curve(self, name: str) -> Curve:
        """Return a quantity against the length, with its law."""
        law = self.law(name)
        return Curve(
            label=f"{self.label} {name.replace('_', ' ')}",
            quantity=name,
            x_name="length",
            points=tuple(_point(row, name) for row in self.rows),
            law=() if law is None else tuple((float(n), float(law.value(T=n))) for n in self.lengths()),
            law_text=self.exponent(name).text,
            exact=True,
        )


def law_cells(question: Question, algorithm: str | None = None) -> tuple[Cell, ...]:
    """Return the counts of a forward pass that the laws are solved from and verified at.

    Args:
        question: gives layer and scope; the scope's lengths do not matter.
        algorithm: of the layer; None: the question's.
    """
    chosen = algorithm or question.algorithm
    lengths = LOOP_LENGTHS if chosen == "reference" else LENGTHS
    return tuple(count_cell(question, length, algorithm=chosen) for length in lengths)


def count_cell(question: Question, length: int, **fields: object) -> Cell:
    """Return the count of one forward pass; `fields` gives algorithm, batch and what else differs."""
    return question.scope.cell(
        "count",
        PROBES["count"].version,
        question.layer,
        **{"algorithm": question.algorithm, "mode": "forward", "launcher": untimed_launcher(question)} | fields,
        length=length,
    )


def count_laws(question: Question, table: Table, algorithm: str | None = None) -> CountLaws | None:
    """Return the laws; None while cells are not measured yet, or where too few lengths could be counted.

    Lengths that were skipped, or that this layer refuses, are done without: the laws then reach less far and say so.
    """
    rows = table.rows_of(law_cells(question, algorithm))
    if any(row.outcome is None for row in rows):
        return None
    return laws_of(f"{question.layer.name}/{algorithm or question.algorithm}", rows)


def laws_of(label: str, rows: Iterable[Row]) -> CountLaws | None:
    """Return the laws of these counts; None where fewer than three lengths were counted."""
    counted = tuple(row for row in rows if row.ok)
    if len(counted) < FEWEST_LENGTHS:
        return None
    found = {name: _law_of(counted, name) for name in COUNTS}
    return CountLaws(label=label, traffic=found.pop("traffic_bytes"), rows=counted, **found)


def undecided_for_counts(
    claim: AbstractClaim, question: Question, rows: tuple[Row, ...], laws: CountLaws | None
) -> Judgement | None:
    """Return the undecided judgement where counts are missing or a lower bound only; None where all is counted."""
    if laws is None:
        return undecided_for_cells(claim, question, rows)
    return uncounted(claim, question, laws.rows) if laws.uncounted else None


def uncounted(claim: AbstractClaim, question: Question, rows: tuple[Row, ...]) -> Judgement:
    """Return the undecided judgement for counts that are a lower bound: an operator of the layer has no law."""
    note = next(_note(row) for row in rows if not row.observations.keys() >= WHOLE)
    return judgement(
        claim, question, Verdict.undecided, f"a lower bound only: {note}",
        reason=Reason.instrument, evidence={"uncounted": note},
    )  # fmt: skip


def _law_of(rows: tuple[Row, ...], name: str) -> ExactLaw | None:
    """Return the law of a quantity that every row has."""
    if not all(name in row.observations for row in rows):
        return None
    return _solved(tuple((row.cell.length, int(row.observations[name].value)) for row in rows))


@lru_cache(maxsize=1024)  # the same counts answer several claims, and are judged anew after every block
def _solved(samples: tuple[tuple[int, int], ...]) -> ExactLaw | None:
    return exact_law([({"T": length}, value) for length, value in samples])


def _fitted(fitted: PowerFit) -> Exponent:
    return Exponent(
        value=fitted.p, low90=fitted.p_low90, high90=fitted.p_high90, low95=fitted.p_low, high95=fitted.p_high,
        text=f"{fitted.text()} (no exact law verifies)", exact=False,
    )  # fmt: skip


def _note(row: Row) -> str:
    """Return what the probe said of a count that it could not make whole."""
    return (row.outcome.reason if row.outcome is not None else None) or "an operator has no law"


def _point(row: Row, name: str) -> CurvePoint:
    value = row.observations[name].value
    return CurvePoint(x=row.cell.length, y=value, low=value, high=value)
