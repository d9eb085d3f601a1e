"""Synthetic pages for the tests of the report: known numbers, no measurement."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from seqscale.records import Cell, LayerSpec, Question, Scope
from seqscale.reporting.model import Page
from seqscale.rows import Observation, Outcome, OutcomeKind, Row, Sample, Table
from seqscale.verdicts.base import AbstractClaim, Curve, CurvePoint, Judgement, Kind, Reason, Verdict

LENGTHS = (32, 64, 128, 256, 512, 1024, 2048, 4096)


def layer(name: str, family: str = "recurrent", algorithms: tuple[str, ...] = ("library", "reference")) -> LayerSpec:
    return LayerSpec(
        name=name, target=f"x:{name}", version="1", family=family, algorithms=algorithms, widen=None, sentence="x"
    )


GRU, LSTM, ELMAN = layer("gru"), layer("lstm"), layer("elman")
ATTENTION = layer("attention", "attention")
OWN = layer("examples/mine.py:Mine", "own", ("own",))
LAYERS = (ELMAN, GRU, LSTM, ATTENTION, OWN)


class LengthClaim(AbstractClaim):
    """A claim about one mode of one probe over the lengths of the scope."""

    kind = Kind.equivalence
    estimand = "slope of log time over log length, last two octaves"
    delta = 0.10
    probe = "time"
    mode = "forward"

    def applies(self, layer: LayerSpec) -> bool:
        return True

    def requires(self, question: Question) -> tuple[Cell, ...]:
        return tuple(
            question.scope.cell(
                self.probe, 1, question.layer, algorithm=question.algorithm, mode=self.mode, length=length
            )
            for length in question.scope.lengths
        )

    def judge(self, question: Question, table: Table) -> Judgement:
        raise NotImplementedError


def claim(id: str, takeaway: int, sentence: str, probe: str = "time", mode: str = "forward") -> LengthClaim:
    fields = {"id": id, "takeaway": takeaway, "sentence": sentence, "probe": probe, "mode": mode}
    return type("Claim", (LengthClaim,), fields)()  # type: ignore[no-any-return]


CLAIMS: dict[str, LengthClaim] = {
    c.id: c
    for c in (
        claim("time.linear-forward", 1, "Forward time grows in proportion to the length."),
        claim("time.linear-training", 1, "Training time grows in proportion to the length.", mode="training"),
        claim("memory.bptt-linear", 3, "What BPTT keeps grows in proportion to the length.", "memory", "training"),
        claim("memory.decode-state", 3, "The state of a decoding step is the same at every length.", "count", "decode"),
        claim(
            "memory.attention-training", 4, "Attention's training memory grows with T squared.", "memory", "training"
        ),
    )
}
QUANTITY = {"time": "time", "memory": "saved_bytes", "count": "state_bytes"}


def scope(lengths: Sequence[int] = LENGTHS, **fields: object) -> Scope:
    base: dict[str, object] = {
        "width": 64, "batch": 1, "dtype": "float32", "device": "cpu", "threads": 2, "seed": 0, "launcher": "fork",
        "machine": "a machine, 2 cores", "torch": "2.13.0",
    }  # fmt: skip
    return Scope(lengths=tuple(lengths), **{**base, **fields})  # type: ignore[arg-type]


def value_of(cell: Cell) -> float:
    """The synthetic truth: recurrences linear, attention quadratic, state constant or growing."""
    grows = cell.layer == "attention"
    factor = {"elman": 1.0, "gru": 2.2, "lstm": 2.9, "attention": 0.6}.get(cell.layer, 1.4)
    slow = 6.0 if cell.algorithm == "reference" else 1.0
    n = cell.length
    if cell.probe == "time":
        times = 3.0 if cell.mode == "training" else 1.0
        law = 4e-5 + (1.2e-6 * n + 4e-9 * n * n) if grows else 5e-5 + 6e-6 * n
        return times * slow * factor * law
    if cell.probe == "memory":
        return float(4 * 64 * n * round(slow) * round(2 * factor) + (4 * n * n if grows and slow > 1 else 0))
    return float(4 * 128 * n if grows else 256 * (2 if cell.layer == "lstm" else 1))


def measured(cell: Cell, seed: int = 0, rounds: int = 9) -> Row:
    generator = random.Random(f"{cell.id}{seed}")
    name = QUANTITY[cell.probe]
    if cell.probe == "time":
        values = [value_of(cell) * generator.lognormvariate(0, 0.03) for _ in range(rounds)]
    else:
        values = [value_of(cell)]
    samples = tuple(Sample(value=value, round=i) for i, value in enumerate(values))
    return Row(cell, Outcome(kind=OutcomeKind.ok), {name: Observation.of(name, samples)})


def broken(cell: Cell, kind: OutcomeKind, reason: str, needed_s: float | None = None) -> Row:
    return Row(cell, Outcome(kind=kind, reason=reason, needed_s=needed_s))


def curve_of(question: Question, rows: Sequence[Row]) -> tuple[Curve, ...]:
    name = QUANTITY[CLAIMS[question.claim].probe]
    seen = [(row.cell, row.observations[name]) for row in rows if row.ok]
    if not seen:
        return ()
    exact = name != "time"
    return (
        Curve(
            label=f"{question.layer.name}/{question.algorithm} {seen[0][0].mode}",
            quantity=name,
            x_name="length",
            points=tuple(CurvePoint(x=c.length, y=o.value, low=o.low, high=o.high) for c, o in seen),
            law=tuple((float(c.length), value_of(c)) for c, _ in seen),
            law_text=f"4*B*T*{question.scope.width}" if exact else "5e-05 + 6e-06 T^1.00 [0.98, 1.02]",
            exact=exact,
        ),
    )


def judged(question: Question, table: Table) -> Judgement:
    rows = table.rows_of(CLAIMS[question.claim].requires(question))
    grows = question.layer.family == "attention"
    missing = tuple(row.cell for row in rows if not row.ok)
    reason = None
    if missing:
        kinds = {row.outcome.kind for row in rows if row.outcome is not None and not row.ok}
        reason = Reason.unanswerable if OutcomeKind.rejected in kinds else Reason.budget
    elif question.layer.name == "lstm" and question.algorithm == "reference" and "time" in question.claim:
        reason = Reason.noise
    holds = question.claim == "memory.attention-training" or not grows
    verdict = Verdict.undecided if reason else Verdict.supported if holds else Verdict.contradicted
    power = "T^2.00" if grows else "T^0.00" if "decode" in question.claim else "T^1.00"
    return Judgement(
        claim=question.claim,
        takeaway=CLAIMS[question.claim].takeaway,
        layer=question.layer.name,
        algorithm=question.algorithm,
        verdict=verdict,
        reason=reason,
        statement=f"grows as {power} [0.98, 1.02] over the last two octaves",
        headline="" if reason else f"{power} [0.98, 1.02]",
        scope=question.scope.record(),
        evidence={
            "exponent": 1.0,
            "interval_95": [0.98, 1.02],
            "overhead": {"value": 5e-5, "unit": "s", "share_of_largest": 0.013},
            "check_lack_of_fit": "passed",
        },
        curves=curve_of(question, rows),
        missing=missing,
    )


def page(
    layers: Sequence[LayerSpec] = LAYERS,
    claims: Mapping[str, LengthClaim] = CLAIMS,
    lengths: Sequence[int] = LENGTHS,
    widths: Sequence[int] = (64,),
    **fields: object,
) -> Page:
    """A realistic page: eight lengths, a rejected layer's cells, skipped cells, a timed-out one."""
    questions = tuple(
        Question(
            claim=name,
            layer=spec,
            algorithm=algorithm,
            scope=scope([n for n in lengths if algorithm != "reference" or n <= 512] or lengths[:1], width=width),
        )
        for name in claims
        for spec in layers
        if name != "memory.attention-training" or spec.family == "attention"
        for algorithm in spec.algorithms
        for width in widths
    )
    cells = {cell.id: cell for q in questions for cell in claims[q.claim].requires(q)}
    table = Table(_row(cell) for cell in cells.values())
    base: dict[str, object] = {
        "study": "quick",
        "date": "2026-01-31 12:00",
        "wall_s": 131.4,
        "machine": {"processor": "a processor", "cores": "2", "memory": "24 GiB", "system": "Linux x86_64"},
        "versions": {"seqscale": "0.1.0", "torch": "2.13.0", "numpy": "2.4.6", "python": "3.11.7"},
        "questions": questions,
        "judgements": tuple(judged(q, table) for q in questions),
        "claims": claims,
        "table": table,
        "notes": ("dropout set to 0 in examples/mine.py:Mine",),
        "noise_floor": 0.013,
        "costs": {"time.linear-training": 190.0} if OWN in layers or ELMAN in layers else {},
    }
    return Page(**{**base, **fields})  # type: ignore[arg-type]


def _row(cell: Cell) -> Row:
    if cell.layer == OWN.name and cell.mode == "training":
        return broken(cell, OutcomeKind.rejected, "output at position 17 changed when x[18] did, by 0.3 (leaks)")
    if cell.layer == "elman" and cell.mode == "training" and cell.probe == "time" and cell.length >= 2048:
        return broken(cell, OutcomeKind.skipped, "predicted 95 s, its share is 15 s", needed_s=95.0)
    if cell.layer == "attention" and cell.algorithm == "reference" and cell.length == 512 and cell.mode == "training":
        return broken(cell, OutcomeKind.timed_out, "one call took more than 30 s")
    return measured(cell)
