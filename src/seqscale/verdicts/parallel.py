"""Claims on span, by exact counts: how long is the longest chain of steps that must wait for each other?

The kernel span counts kernels (what a launch-bound device pays), the ideal span gives each kernel its logarithmic depth
(what no number of processors can shorten); tracing/depth.py has both.
"""

from __future__ import annotations

import abc
from typing import Any, ClassVar, final

from seqscale.fit.verdict import Decision, equivalence
from seqscale.probes.catalogue import PROBES
from seqscale.records import Cell, LayerSpec, Question
from seqscale.rows import Table
from seqscale.units import format_count, quantity
from seqscale.verdicts.base import AbstractClaim, Judgement, Kind, Reason, Verdict
from seqscale.verdicts.common import judgement, untimed_launcher
from seqscale.verdicts.counts import COUNTS, CountLaws, Exponent, count_laws, law_cells, undecided_for_counts

SCHEDULED_LENGTH = 8  # of the sequence whose schedule the report draws


NO_LAW = "no exact law verifies, and a curve through counts proves no growth"


class AbstractSpan(AbstractClaim):
    """A claim on the spans of one algorithm."""

    takeaway = 1
    kind = Kind.equivalence
    delta = 0.02
    families: ClassVar[tuple[str, ...]]

    def applies(self, layer: LayerSpec) -> bool:
        """Layers of the families that the sentence speaks of."""
        return layer.family in self.families

    def requires(self, question: Question) -> tuple[Cell, ...]:
        """Return the counts that the laws are solved from, and the schedule of a short sequence for the report."""
        schedule = question.scope.cell(
            "schedule",
            PROBES["schedule"].version,
            question.layer,
            algorithm=question.algorithm,
            mode="forward",
            length=SCHEDULED_LENGTH,
            launcher=untimed_launcher(question),
        )
        return (*law_cells(question), schedule)

    def judge(self, question: Question, table: Table) -> Judgement:
        """Judge by the laws of the spans."""
        rows = table.rows_of(law_cells(question))
        laws = count_laws(question, table)
        undecided = undecided_for_counts(self, question, rows, laws)
        if undecided is not None or laws is None:
            assert undecided is not None
            return undecided
        verdict, reason, headline, why = self.decide(laws)
        return judgement(
            self,
            question,
            verdict,
            f"{_spans(laws)}; {_parallelism(laws)}; {laws.reach()}{why}",
            reason=reason,
            headline=headline,
            evidence=evidence_of(laws),
            curves=tuple(laws.curve(name) for name in ("kernel_span", "ideal_span", "work")),
            missing=(row for row in rows if not row.ok),
        )

    @abc.abstractmethod
    def decide(self, laws: CountLaws) -> tuple[Verdict, Reason | None, str, str]:
        """Return verdict, reason, headline, and what to add to the sentence."""


@final
class SpanGrows(AbstractSpan):
    """The recurrent side: one step waits for the last."""

    id = "parallel.span-grows"
    sentence = "Each step waits for the last: the span grows in proportion to the length."
    estimand = "power of T in the exact law of the ideal span (with a logarithm: slope over its last octave), against 1"
    families = ("recurrent", "own")

    def decide(self, laws: CountLaws) -> tuple[Verdict, Reason | None, str, str]:
        """Support a power of 1 within delta."""
        p = laws.exponent("ideal_span")
        if not p.exact:
            return Verdict.undecided, Reason.law, "", f"; {NO_LAW}"
        verdict = Verdict[equivalence(p.low90, p.high90, p.low95, p.high95, 1.0, self.delta).name]
        why = ""
        if verdict is Verdict.contradicted:
            why = (
                f"; the ideal span grows {'faster' if p.low95 > 1 else 'more slowly'} than in proportion to the length"
            )
        return verdict, Reason.noise if verdict is Verdict.undecided else None, _headline(p), why


@final
class AttentionSpanFlat(AbstractSpan):
    """The other side: every position at once."""

    id = "parallel.attention-span-flat"
    sentence = (
        "Attention takes every position at once: a constant number of kernels, and an ideal span that grows with "
        "log T at most."
    )
    estimand = "power of T in the exact law of the number of kernels, against 0; and in that of the ideal span, 0"
    families = ("attention",)

    def decide(self, laws: CountLaws) -> tuple[Verdict, Reason | None, str, str]:
        """Support where both parts hold, contradict where one fails; a logarithm needs an exact law to be told."""
        kernels, ideal = laws.exponent("kernels"), laws.exponent("ideal_span")
        number = equivalence(kernels.low90, kernels.high90, kernels.low95, kernels.high95, 0.0, self.delta)
        law = laws.ideal_span
        growth = None if law is None else law.growth("T")
        headline = f"{_headline(ideal)}, {laws.exponent('kernels').text} kernels"
        if kernels.exact and number is Decision.contradicted:
            return Verdict.contradicted, None, headline, "; the number of kernels grows with the length"
        if growth is None or not kernels.exact:
            return Verdict.undecided, Reason.law, "", f"; {NO_LAW}"
        if growth.power or growth.log > 1:
            return Verdict.contradicted, None, headline, "; the ideal span grows faster than log T"
        if number is Decision.undecided:
            return Verdict.undecided, Reason.noise, headline, ""
        return Verdict.supported, None, headline, ""


@final
class RecurrenceCannot(AbstractClaim):
    """The universal form: one exact parallel algorithm contradicts it, whatever the others do."""

    id = "parallel.recurrence-cannot"
    takeaway = 1
    sentence = "A recurrence cannot be parallelised over time."
    kind = Kind.universal
    estimand = "power of T in the law of the ideal span, least over every algorithm of the layer, against 1"
    delta = 0.02

    def applies(self, layer: LayerSpec) -> bool:
        """Recurrences, and a user's own layers."""
        return layer.family in ("recurrent", "own")

    def requires(self, question: Question) -> tuple[Cell, ...]:
        """Return the counts of every algorithm of the layer, whichever the question asks for."""
        return tuple(cell for name in question.layer.algorithms for cell in law_cells(question, name))

    def judge(self, question: Question, table: Table) -> Judgement:
        """Judge over all algorithms: the same verdict for each question of the layer."""
        laws = {name: count_laws(question, table, name) for name in question.layer.algorithms}
        whole = {name: found for name, found in laws.items() if found is not None and found.uncounted is None}
        powers = {name: found.exponent("ideal_span") for name, found in whole.items()}
        spans = ", ".join(f"{name} {p.text}" for name, p in powers.items())
        parallel = [name for name, p in powers.items() if p.exact and p.high95 < 1 - self.delta]
        evidence = {name: evidence_of(found) for name, found in whole.items()}
        curves = tuple(found.curve("ideal_span") for found in whole.values())
        if parallel:
            best = min(parallel, key=lambda name: powers[name].value)
            last = whole[best].lengths()[-1]
            statement = (
                f"{question.layer.name}/{best} is an exact parallel form: its ideal span is {powers[best].text} steps, "
                f"{format_count(whole[best].value('ideal_span', last))} at T = {last}, {whole[best].reach()} (ideal "
                f"spans: {spans})"
            )
            headline = f"{best}: {_headline(powers[best])}"
            return judgement(
                self, question, Verdict.contradicted, statement, headline=headline, evidence=evidence, curves=curves
            )
        for name, found in laws.items():
            rows = table.rows_of(law_cells(question, name))
            undecided = undecided_for_counts(self, question, rows, found)
            if undecided is not None:
                return undecided
        unsure = [name for name, p in powers.items() if not p.exact]
        if unsure:
            said = f"no exact law tells how the ideal span of {', '.join(unsure)} grows (ideal spans: {spans})"
            return judgement(
                self, question, Verdict.undecided, said,
                reason=Reason.law, evidence=evidence, curves=curves,
            )  # fmt: skip
        statement = (
            f"the ideal span grows at least in proportion to the length for every algorithm there is of it "
            f"(ideal spans: {spans}); no finite list proves a universal sentence"
        )
        headline = f"{_headline(powers[question.layer.algorithms[0]])}; all {len(powers)} algorithms"
        return judgement(
            self, question, Verdict.supported, statement, headline=headline, evidence=evidence, curves=curves
        )


def evidence_of(laws: CountLaws) -> dict[str, Any]:
    """Return the laws and the exponent of the ideal span, JSON-ready, each with its unit."""
    p = laws.exponent("ideal_span")
    law = laws.ideal_span
    return {
        "laws": {
            name: {"text": laws.exponent(name).text, "unit": quantity(name).unit, "exact": laws.law(name) is not None}
            for name in COUNTS
        },
        "exponent": {"value": p.value, "low": p.low95, "high": p.high95, "unit": "1"},
        "parallelism": {
            "value": [laws.parallelism(length) for length in laws.lengths()],
            "unit": "flop/step",
            "lengths": list(laws.lengths()),
        },
        "verified_at": None if law is None else {"value": [dims["T"] for dims in law.verified_at], "unit": "tokens"},
    }


def _spans(laws: CountLaws) -> str:
    kernel, ideal = laws.exponent("kernel_span"), laws.exponent("ideal_span")
    return f"kernel span = {kernel.text} kernels, ideal span = {ideal.text} steps"


def _parallelism(laws: CountLaws) -> str:
    """Say how many operations could run at once, at both ends of the lengths counted."""
    first, last = laws.lengths()[0], laws.lengths()[-1]
    return (
        f"work over ideal span is {format_count(laws.parallelism(first))} flop a step at T = {first} and "
        f"{format_count(laws.parallelism(last))} at T = {last}"
    )


def _headline(p: Exponent) -> str:
    """Write the ideal span as short as it can be."""
    if not p.exact:
        return f"span T^{p.value:.2f} [{p.low95:.2f}, {p.high95:.2f}]"
    return f"span {p.text}, exact"
