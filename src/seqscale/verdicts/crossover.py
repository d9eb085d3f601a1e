"""The claim on many processors: attention's work grows with T^2, its span hardly; a recurrence's span grows with T.

Modelled, from the counted laws of both: T_P lies between max(W/P, S) and W/P + S, where a processor does one operation
a step and nothing else costs anything. What a real machine adds can only be measured.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, final

from seqscale.fit.processors import Crossing, Model, crossing
from seqscale.layers.catalogue import LAYERS
from seqscale.records import Cell, LayerSpec, Question
from seqscale.rows import Table
from seqscale.verdicts.base import AbstractClaim, Judgement, Kind, Reason, Verdict
from seqscale.verdicts.common import judgement
from seqscale.verdicts.counts import count_laws, law_cells, undecided_for_counts

PROCESSORS = 1024  # the kata's
SHOWN = (1, PROCESSORS, 65_536)
LENGTHS = tuple(sorted({round(2 ** (k / 8)) for k in range(8, 8 * 20 + 1)}))  # tokens: 2 to 2^20, eight to an octave


@final
class CrossoverOnProcessors(AbstractClaim):
    """The kata's table of 1,024 cores, with the work and the span that both sides really have."""

    id = "parallel.crossover-on-p-processors"
    takeaway = 1
    sentence = "On 1,024 processors attention finishes before the recurrence, at every length of the study."
    kind = Kind.universal
    estimand = (
        "T_P of attention/library over T_P of the recurrence at P = 1,024 and each length, both between max(W/P, S) "
        "and W/P + S by their exact laws, against 1"
    )
    delta = 0.0

    def applies(self, layer: LayerSpec) -> bool:
        """Recurrences, and a user's own layers."""
        return layer.family in ("recurrent", "own")

    def requires(self, question: Question) -> tuple[Cell, ...]:
        """Return the counts that the laws of both rivals are solved from."""
        return (*law_cells(question), *law_cells(_rival(question)))

    def judge(self, question: Question, table: Table) -> Judgement:
        """Judge by the bounds at the scope's lengths: they must lie apart to say who finishes first."""
        found = []
        for asked in (_rival(question), question):
            laws = count_laws(asked, table)
            undecided = undecided_for_counts(self, question, table.rows_of(law_cells(asked)), laws)
            if undecided is not None or laws is None:
                assert undecided is not None
                return undecided
            if laws.work is None or laws.ideal_span is None:
                said = f"no exact law verifies for work and span of {laws.label}, so nothing tells T_P at other lengths"
                return judgement(self, question, Verdict.undecided, said, reason=Reason.instrument)
            found.append(Model(label=laws.label, work=laws.work, span=laws.ideal_span))
        first, second = found
        lengths = [n for n in question.scope.lengths if not any(model.extrapolates(n) for model in found)]
        if not lengths:
            said = f"the laws of {first.label} and {second.label} reach none of the study's lengths"
            return judgement(self, question, Verdict.undecided, said, reason=Reason.reach)
        here = crossing(first, second, PROCESSORS, lengths)
        sure = {who for who, _, _ in here.runs}
        verdict, reason = Verdict.supported, None
        if second.label in sure:
            verdict = Verdict.contradicted
        elif None in sure or len(lengths) < len(question.scope.lengths):
            verdict, reason = Verdict.undecided, Reason.reach
        crossings = {p: crossing(first, second, p, LENGTHS) for p in SHOWN}
        texts = "; ".join(f"P = {p:,}: {c.text()}" for p, c in crossings.items())
        reach = min(law.reach("T")[1] for model in found for law in (model.work, model.span))
        return judgement(
            self,
            question,
            verdict,
            f"on {PROCESSORS:,} processors, at the lengths that laws reach, {_runs(here)}; where {second.label} passes "
            f"{first.label}: {texts}; laws exact up to T = {reach:,}, extrapolated beyond",
            reason=reason,
            headline=_short(crossings[PROCESSORS], question.layer.name),
            evidence={
                "laws": [_model_record(model) for model in found],
                "first": [_run_record(*run) for run in here.runs],
                "crossings": [
                    {
                        "processors": {"value": p, "unit": "processors"},
                        "text": c.text(),
                        "passes": [_run_record(*run) for run in c.passes],
                    }
                    for p, c in crossings.items()
                ],
                "reach": {"value": reach, "unit": "tokens"},
            },
        )


def _rival(question: Question) -> Question:
    """Return the same question of attention, at the same batch and width; options are the other layer's own."""
    layer = LAYERS["attention"]
    return replace(question, layer=layer, algorithm=layer.algorithms[0], scope=replace(question.scope, options=()))


def _runs(found: Crossing) -> str:
    """Say who is surely first at which lengths."""
    parts = []
    for who, start, end in found.runs:
        at = f"T = {start:,}" if start == end else f"T = {start:,}..{end:,}"
        parts.append(f"{who} is first at {at}" if who is not None else f"the bounds overlap at {at}")
    return ", ".join(parts)


def _short(found: Crossing, layer: str) -> str:
    """Write the crossing as one figure: `P = 1,024: gru passes at T 117..256`."""
    at, names = f"P = {found.processors:,}", {found.first: "attention", found.second: layer}
    if found.passes:
        who, start, end = found.passes[-1]
        return f"{at}: {names[who]} passes at T {start:,}..{end:,}"
    if found.sure:
        return f"{at}: none, {names[found.sure[0][0]]} first"
    return f"{at}: bounds overlap"


def _run_record(who: str | None, start: int, end: int) -> dict[str, Any]:
    return {"first": who, "from": start, "to": end, "unit": "tokens"}


def _model_record(model: Model) -> dict[str, Any]:
    return {
        "of": model.label,
        "work": {"text": model.work.text(), "unit": "flop"},
        "ideal_span": {"text": model.span.text(), "unit": "steps"},
    }
