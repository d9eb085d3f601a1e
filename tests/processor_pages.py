"""A synthetic page with the claims on span and idle hardware: counts from closed forms, schedules made by hand."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

from report_pages import ATTENTION, ELMAN, GRU, layer, page, scope

from seqscale.records import Cell, LayerSpec, Question
from seqscale.reporting.model import Page
from seqscale.rows import Observation, Outcome, OutcomeKind, Row, Sample, Table
from seqscale.verdicts.base import AbstractClaim, Judgement, Kind, Verdict
from seqscale.verdicts.crossover import CrossoverOnProcessors
from seqscale.verdicts.parallel import AttentionSpanFlat, SpanGrows

DIAGONAL = layer("diagonal", algorithms=("reference", "scan"))
LAYERS = (ELMAN, GRU, DIAGONAL, ATTENTION)
STREAM = 64  # numbers a token
PEAK, BANDWIDTH = 80e9, 12e9  # flop/s, B/s

Kernels = list[tuple[str, int, int, list[int]]]


def log2(length: int) -> int:
    return max(length - 1, 0).bit_length()


def counts(name: str, algorithm: str, length: int) -> dict[str, int]:
    """Closed forms like those of the real layers, at width 64 and batch 1."""
    d, n = STREAM, length
    if name == "attention":
        work, kernels, ideal = n * 8 * d * d + n * n * (4 * d + 5), 12, 31 + 3 * log2(n)
        return _counts(work, kernels, kernels - 3, ideal)
    if algorithm == "scan":
        return _counts(n * 2 * d * d + 6 * n * d, 9, 9, 15 + 2 * log2(n))
    gates, chain = {"gru": (3, 14), "diagonal": (1, 3)}.get(name, (1, 10))
    slow = 2 if algorithm == "reference" else 0
    return _counts(n * (4 * gates * d * d + 7 * gates * d), 6 * n + 2, (4 + slow) * n + 1, (chain + slow) * n + 7)


def _counts(work: int, kernels: int, kernel_span: int, ideal_span: int) -> dict[str, int]:
    return {
        "work": work, "traffic_bytes": 2 * work, "kernels": kernels, "kernel_span": kernel_span,
        "ideal_span": ideal_span,
    }  # fmt: skip


def kernels(name: str, length: int) -> Kernels:
    """A recurrence: for each token a product, an addition and a tanh; attention: seven kernels, three at once."""
    d, n = STREAM, length
    if name == "attention":
        made: Kernels = [("aten.mm.default", 2 * n * d * d, 7, []) for _ in range(3)]
        made += [("aten.clone.default", 0, 1, [1])]
        made += [("aten.bmm.default", 2 * n * n * d, 7, [0, 3]), ("aten._softmax.default", 5 * n * n, 2 * log2(n), [4])]
        return [*made, ("aten.bmm.default", 2 * n * n * d, 1 + log2(n), [2, 5])]
    found: Kernels = []
    for _ in range(length):
        last = [len(found) - 1] if found else []
        found.append(("aten.addmm.default", 2 * d * d, 7, []))
        found.append(("aten.mm.default", 2 * d * d, 7, last))
        found.append(("aten.add.Tensor", d, 1, [len(found) - 2, len(found) - 1]))
        found.append(("aten.tanh.default", d, 1, [len(found) - 1]))
    return found


def finish(kernels: Sequence[tuple[str, int, int, Sequence[int]]], processors: int) -> float:
    """When a greedy schedule ends [steps]: processors shared out anew at each start and end, first come first served.

    A kernel of work W and depth D uses at most W / D processors at a time.
    """
    done: set[int] = set()
    left = [1.0] * len(kernels)
    now = 0.0
    while len(done) < len(kernels):
        free, rates = float(processors), {}
        for i, (_, work, depth, waits) in enumerate(kernels):
            if i in done or not done.issuperset(waits):
                continue
            used = min(work / depth, free)
            free -= used
            rate = used / work if work else 1 / depth
            if rate > 0:
                rates[i] = rate
        step = min(left[i] / rate for i, rate in rates.items())
        now += step
        for i, rate in rates.items():
            left[i] -= rate * step
            if left[i] <= 1e-9:
                done.add(i)
    return now


class Idle(AbstractClaim):
    """Stands for the claim on idle hardware: only its evidence is read here."""

    id = "parallel.idle-hardware"
    takeaway = 1
    sentence = "Most of the hardware sits idle."
    kind = Kind.average
    estimand = "share of the machine's ceiling at batch 1"
    delta = 0.1

    def applies(self, layer: LayerSpec) -> bool:
        return True

    def requires(self, question: Question) -> tuple[Cell, ...]:
        return ()

    def judge(self, question: Question, table: Table) -> Judgement:
        place = len(question.layer.name) % 4
        points = [
            {
                "batch": batch, "length": 64, "intensity": (0.6 + 0.4 * place) * batch**0.5, "rate": rate,
                "low": 0.9 * rate, "high": 1.1 * rate,
            }
            for batch in (1, 8, 64)
            for rate in [(0.3e9 + 0.7e9 * place) * batch**0.7]
        ]  # fmt: skip
        roofline = {
            "points": points, "unit": "flop/s, flop/B", "peak": PEAK, "bandwidth": BANDWIDTH, "threads": 2,
        }  # fmt: skip
        return Judgement(
            claim=self.id, takeaway=1, layer=question.layer.name, algorithm=question.algorithm,
            verdict=Verdict.supported, reason=None, statement="it does", headline="1 % [0.9, 1.1]",
            scope=question.scope.record(), evidence={"roofline": roofline},
        )  # fmt: skip


CLAIMS: dict[str, AbstractClaim] = {
    c.id: c for c in (SpanGrows(), AttentionSpanFlat(), CrossoverOnProcessors(), Idle())
}


def processors_page(layers: Sequence[LayerSpec] = LAYERS, claims: Sequence[str] = tuple(CLAIMS)) -> Page:
    """The page of report_pages with these claims asked of these layers besides."""
    asked = tuple(
        Question(claim=name, layer=spec, algorithm=algorithm, scope=scope())
        for name in claims
        for spec in layers
        if CLAIMS[name].applies(spec)
        for algorithm in spec.algorithms
    )
    cells = {cell.id: cell for q in asked for cell in CLAIMS[q.claim].requires(q)}
    base = page(layers=(ELMAN, GRU, ATTENTION), notes=())
    table = Table([*base.table, *map(_row, cells.values())])
    return dataclasses.replace(
        base,
        questions=(*base.questions, *asked),
        judgements=(*base.judgements, *(CLAIMS[q.claim].judge(q, table) for q in asked)),
        claims={**base.claims, **CLAIMS},
        table=table,
    )


def _row(cell: Cell) -> Row:
    ok = Outcome(kind=OutcomeKind.ok)
    if cell.probe == "schedule":
        return Row(cell, ok, document=json.dumps({"kernels": kernels(cell.layer, cell.length)}))
    found = counts(cell.layer, cell.algorithm, cell.length)
    return Row(cell, ok, {name: Observation.of(name, [Sample(value=value)]) for name, value in found.items()})
