"""A synthetic page on what a state remembers: documents made from closed forms, judgements that follow from them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
from report_pages import page, scope

from seqscale.layers.catalogue import LAYERS
from seqscale.probes.catalogue import INSTRUMENT, PROBES
from seqscale.probes.information import CHECKS
from seqscale.profiles import Profile, written
from seqscale.records import Cell, LayerSpec, Option, Question
from seqscale.reporting.model import Page
from seqscale.rows import Observation, Outcome, OutcomeKind, Row, Sample, Table
from seqscale.theory.bounds import bits_that_fit
from seqscale.units import QUANTITIES
from seqscale.verdicts.base import AbstractClaim, Curve, CurvePoint, Judgement, Kind, Reason, Stream, Verdict

OK = Outcome(kind=OutcomeKind.ok)
WIDTH, SYMBOLS, BITS = 8, 8, 3.0
EVERY = tuple(LAYERS.values())
RECURRENT = tuple(spec for spec in EVERY if spec.family == "recurrent")
ATTENTION = LAYERS["attention"]
FAILED_CHECK = "training"
# layer -> tokens until half of a token's bits is gone; none: all are held alike
HALF = {
    "elman": 1.0,
    "gru": 1.6,
    "lstm": 2.0,
    "diagonal": 1.2,
    "selective": 3.0,
    "deltanet": 4.0,
    "linear-attention": 9.0,
}


def numbers(layer: str, hidden: int, length: int) -> int:
    """Numbers of the state."""
    if layer == "attention":
        return 2 * length * WIDTH
    fixed = {"lstm": 2 * hidden, "lru": 2 * hidden, "linear-attention": 64, "deltanet": 64, "selective": 128}
    return fixed.get(layer, hidden)


def held(layer: str, hidden: int, distance: int) -> float:
    """Bits of one token that are found: all, an exponential, or a plateau that ends at a number of tokens."""
    if layer == "attention":
        return BITS
    if layer in HALF:
        return BITS * 0.5 ** (distance / HALF[layer]) * min(1.0, 0.7 + hidden / 200)
    return 1.2 if distance < hidden else 0.01


def cell(probe: str, spec: LayerSpec, length: int, hidden: int = 16, width: int = WIDTH, **given: Option) -> Cell:
    """The cell of a layer, computed by its fastest algorithm."""
    asked = PROBES[probe]
    options: tuple[tuple[str, Option], ...] = (("hidden", hidden),) if spec.widen == "hidden" else ()
    return scope(width=width, threads=1).cell(
        probe, asked.version, spec, algorithm=spec.fastest or spec.algorithms[0], mode=asked.modes[0], length=length,
        options=options, conditions=asked.settle(given, length, width),
    )  # fmt: skip


def check(name: str) -> Cell:
    """The cell of a check of an instrument."""
    return scope(width=1, threads=1, dtype="float64").cell(
        "calibration", 1, INSTRUMENT, algorithm=name, mode="forward", length=1
    )


def draws(cell: Cell, name: str, values: Sequence[float], spread: float) -> tuple[tuple[float, ...], ...]:
    """A few replicates of each value, the same for the same cell and name."""
    seed = int(cell.id, 16) % 2**32 + sum(map(ord, name))
    count = dict(cell.conditions)["replicates"]
    noise = np.random.default_rng(seed).normal(0, spread, (len(values), int(count)))
    return tuple(tuple(float(v) for v in row) for row in np.asarray(values)[:, None] + noise)


def profile(
    cell: Cell, name: str, quantity: str, by: str, x: Sequence[float], values: Sequence[float], spread: float = 0.02
) -> Profile:
    """A curve with replicates."""
    known = QUANTITIES[quantity]
    seen = tuple(tuple(min(max(v, known.low), known.high) for v in row) for row in draws(cell, name, values, spread))
    return Profile(name=name, quantity=quantity, by=by, x=tuple(x), values=seen)


def computed(name: str, quantity: str, by: str, x: Sequence[float], values: Sequence[float]) -> Profile:
    """A closed form."""
    return Profile(name=name, quantity=quantity, by=by, x=tuple(x), values=tuple((v,) for v in values), exact=True)


def doublings(length: int) -> list[int]:
    """1, 2, 4 ... and the length itself."""
    return sorted({*(2**k for k in range(length.bit_length())), length})


def made(cell: Cell, curves: Sequence[Profile], values: dict[str, float]) -> Row:
    """A measured row: a value of each quantity for every replicate, and the document."""
    observations = {}
    for name, value in values.items():
        spread = 0.01 if name in ("token_bits", "first_token_bits", "accuracy", "r2", "memory_capacity") else 0.0
        (seen,) = draws(cell, name, [value], spread)
        observations[name] = Observation.of(name, [Sample(value=v, round=r) for r, v in enumerate(seen)])
    return Row(cell, OK, observations, document=written(curves, {"test": 1200}))


def token_bits(cell: Cell, hidden: int) -> Row:
    def found(tokens: int) -> float:
        return sum(held(cell.layer, hidden, k) for k in range(tokens))

    def fits(tokens: int) -> float:
        n = numbers(cell.layer, hidden, tokens)
        return float(bits_that_fit(tokens, SYMBOLS, n, 32, 0.8 * n / 2 * math.log2(1 + 1e4)))

    n, steps = cell.length, doublings(cell.length)
    bits = [held(cell.layer, hidden, k) for k in range(n)]
    curves = [
        profile(cell, "bits", "token_bits", "distance", range(n), bits),
        profile(cell, "fano", "fano_bits", "distance", range(n), [0.8 * b for b in bits]),
        profile(
            cell, "first token", "first_token_bits", "tokens", steps, [held(cell.layer, hidden, t - 1) for t in steps]
        ),
        profile(cell, "found", "token_bits", "tokens", steps, [found(t) for t in steps], 0.1),
        computed("bound", "bound_bits", "tokens", steps, [fits(t) for t in steps]),
    ]
    return made(cell, curves, {
        "token_bits": found(n), "first_token_bits": bits[-1], "source_bits": BITS * n, "bound_bits": fits(n),
        "state_numbers": numbers(cell.layer, hidden, n),
    })  # fmt: skip


def memory_curve(cell: Cell, hidden: int) -> Row:
    lags = range(int(dict(cell.conditions)["lags"]))
    r2 = [held(cell.layer, hidden, k) / BITS for k in lags]
    curves = [profile(cell, "r2", "r2", "lag", lags, r2, 0.01)]
    if cell.layer in ("orthogonal", "cyclic", "lru"):
        curves.append(computed("closed form", "r2", "lag", lags, r2))
    return made(cell, curves, {"memory_capacity": sum(r2), "state_numbers": numbers(cell.layer, hidden, cell.length)})


def trained_accuracy(layer: str, pairs: int) -> float:
    """Attention and the delta rule recall all; the others the less, the more pairs there are."""
    return 1.0 if layer in ("attention", "deltanet") else max(1 / 16, 1.05 - pairs / (12 + len(layer)))


def keyless(pairs: int) -> float:
    """What is right without the keys."""
    return 1 / 16 + 0.5 / pairs


def recall(cell: Cell, hidden: int) -> Row:
    given = dict(cell.conditions)
    pairs, form = int(given["pairs"]), given["form"]
    if form == "trained":
        right = trained_accuracy(cell.layer, pairs) * (1.0 if cell.length == 2 * pairs else 0.8)
        rates = [float(r) for r in str(given["rates"]).split(",")]
        by_rate = [right, 0.9 * right, 0.3 * right][: len(rates)]
        curves = [
            profile(cell, "accuracy by rate", "accuracy", "learning rate", rates, by_rate, 0.03),
        ]
        return made(cell, curves, {
            "accuracy": min(right, 0.97), "chance": 0.0625, "keyless_accuracy": keyless(pairs),
            "state_numbers": numbers(cell.layer, hidden, cell.length),
        })  # fmt: skip
    powers = [2**k for k in range(pairs.bit_length()) if 2**k <= pairs]
    scale = float(given["logit"]) if cell.layer == "attention" else 6.0
    right = [1 / (1 + (k / (8 * scale)) ** 2) for k in powers]
    curves = [profile(cell, "accuracy", "accuracy", "pairs", powers, right)]
    if cell.layer == "linear-attention":
        curves.append(computed("closed form", "accuracy", "pairs", powers, right))
    return made(cell, curves, {"accuracy": right[-1], "chance": 1 / 16, "state_numbers": 64})


def gradient(cell: Cell, hidden: int) -> Row:
    steps = range(cell.length)
    rate = -0.05 if cell.layer not in HALF else -0.7 / HALF[cell.layer]
    norms = [0.3 / cell.length if cell.layer == "attention" else math.exp(rate * k) for k in steps]
    curves = [profile(cell, "gradient", "gradient_norm", "distance", steps, norms, 0.0)]
    if cell.layer != "attention":
        curves.append(profile(cell, "state gradient", "gradient_norm", "distance", steps, [2 * n for n in norms], 0.0))
    return made(cell, curves, {"gradient_norm": norms[-1], "state_numbers": numbers(cell.layer, hidden, cell.length)})


def truncation(cell: Cell, hidden: int) -> Row:
    given = dict(cell.conditions)
    lag, window = int(given["lag"]), int(given["window"])
    law = max(0.0, 1 - lag / window)
    r2 = law if given["boundary"] == "reset" else 0.02 if cell.layer in HALF else 0.85
    curves = [profile(cell, "r2 by rate", "r2", "learning rate", [0.001, 0.01], [r2, r2 - 0.02], 0.01)]
    return made(cell, curves, {"r2": r2 - 0.03, "state_numbers": numbers(cell.layer, hidden, cell.length)})


READ: dict[str, Callable[[Cell, int], Row]] = {
    "token-bits": token_bits, "memory-curve": memory_curve, "recall": recall, "gradient-horizon": gradient,
    "truncation": truncation,
}  # fmt: skip


def row_of(cell: Cell) -> Row:
    """What the synthetic truth says of a cell."""
    if cell.probe == "calibration":
        error = 1.8 if cell.algorithm == FAILED_CHECK else 0.2 + 0.05 * len(cell.algorithm)
        compared = [
            {"what": f"{cell.algorithm} {n}", "measured": 1 + 0.04 * off, "known": 1.0, "allowed": 0.04}
            for n, off in enumerate((0.1, error))
        ]
        seen = {"calibration_error": Observation.of("calibration_error", [Sample(value=error)])}
        return Row(cell, OK, seen, document=written((), {"comparisons": compared}))
    return READ[cell.probe](cell, int(dict(cell.options).get("hidden", 16)))


class RememberedClaim(AbstractClaim):
    """A claim whose cells and verdict are given."""

    kind = Kind.average
    estimand = "what is lost, in bits"
    delta = 0.2
    stream = Stream.tokens
    every_algorithm = False
    costs = False
    cells: Callable[[LayerSpec], tuple[Cell, ...]]
    layers: tuple[LayerSpec, ...]
    found: Callable[[LayerSpec], Verdict]

    def applies(self, layer: LayerSpec) -> bool:
        return layer in self.layers or (layer.family == "own" and self.layers is EVERY)

    def requires(self, question: Question) -> tuple[Cell, ...]:
        return type(self).cells(question.layer)

    def judge(self, question: Question, table: Table) -> Judgement:
        rows = table.rows_of(self.requires(question))
        missing = tuple(row.cell for row in rows if not row.ok)
        verdict = Verdict.undecided if missing else type(self).found(question.layer)
        return Judgement(
            claim=self.id, takeaway=self.takeaway, layer=question.layer.name, algorithm=question.algorithm,
            verdict=verdict, reason=Reason.budget if missing else Reason.replicates if verdict is OPEN else None,
            statement="found 1.23 [1.2, 1.26] bit", headline="" if missing else "1.23 [1.2, 1.26] bit",
            scope=question.scope.record(), evidence={"bits": {"value": 1.23, "unit": "bit"}},
            curves=() if missing else _curves(question, rows), missing=missing,
        )  # fmt: skip


def _curves(question: Question, rows: Sequence[Row]) -> tuple[Curve, ...]:
    """The first token's bits by tokens read, and the bound as a computed curve."""
    if rows[0].cell.probe != "token-bits":
        return ()
    hidden = int(dict(rows[0].cell.options).get("hidden", 16))
    steps = doublings(rows[0].cell.length)
    name = question.layer.name
    values = [held(name, hidden, t - 1) for t in steps]
    points = tuple(CurvePoint(x=t, y=v, low=v - 0.05, high=v + 0.05) for t, v in zip(steps, values, strict=True))
    flat = tuple(CurvePoint(x=t, y=BITS, low=BITS, high=BITS) for t in steps)
    base = {"x_name": "tokens", "law": (), "law_text": "no law fitted"}
    return (
        Curve(label=f"{name} found", quantity="first_token_bits", points=points, **base),  # type: ignore[arg-type]
        Curve(label=f"{name} bound", quantity="first_token_bits", points=flat, exact=True, **base),  # type: ignore[arg-type]
    )


YES, NO, OPEN = Verdict.supported, Verdict.contradicted, Verdict.undecided


def claim(
    id: str,
    takeaway: int,
    sentence: str,
    layers: tuple[LayerSpec, ...],
    cells: Callable[[LayerSpec], tuple[Cell, ...]],
    found: Callable[[LayerSpec], Verdict],
) -> AbstractClaim:
    """One claim of the page."""
    fields = {"id": id, "takeaway": takeaway, "sentence": sentence, "layers": layers}
    return type("Claim", (RememberedClaim,), {**fields, "cells": staticmethod(cells), "found": staticmethod(found)})()


def fades(spec: LayerSpec) -> Verdict:
    return YES if spec.name in HALF else OPEN if spec.name == "lru" else NO


def never(spec: LayerSpec) -> Verdict:
    return NO


def always(spec: LayerSpec) -> Verdict:
    return YES


def arms(spec: LayerSpec) -> tuple[Cell, ...]:
    given: tuple[tuple[str, str, int], ...] = (
        ("carry", "readout", 1), ("carry", "all", 4), ("carry", "all", 32), ("reset", "all", 4), ("reset", "all", 32),
    )  # fmt: skip
    return tuple(
        cell("truncation", spec, 64, 32, boundary=boundary, trained=trained, window=window, lag=12)
        for boundary, trained, window in given
    )


def constructed(spec: LayerSpec) -> tuple[Cell, ...]:
    logits = (4.0, 8.0) if spec.name == "attention" else (8.0,)
    return tuple(cell("recall", spec, 64, form="constructed", pairs=64, logit=logit) for logit in logits)


def trained(pairs: int) -> Callable[[LayerSpec], tuple[Cell, ...]]:
    return lambda spec: (cell("recall", spec, 2 * pairs, width=16, form="trained", pairs=pairs),)


KNOWN = claim(
    "instrument.known-values", 0, "The instrument reads what is known.", (INSTRUMENT,),
    lambda spec: tuple(check(name) for name in spec.algorithms), always,
)  # fmt: skip
RECALLED = (LAYERS["linear-attention"], LAYERS["deltanet"], ATTENTION)
CLAIMS: dict[str, AbstractClaim] = {
    c.id: c
    for c in (
        claim("information.first-token-fades", 2, "The state forgets the first token.", EVERY,
              lambda spec: (cell("token-bits", spec, 32),), fades),
        claim("information.state-is-bounded", 2, "The state holds no more after more tokens.", EVERY,
              lambda spec: (cell("token-bits", spec, 100),), fades),
        claim("information.decays-per-hop", 2, "A message decays at every hop.", EVERY,
              lambda spec: (cell("memory-curve", spec, 64),), fades),
        claim("width.capacity-grows", 2, "A wider state holds more.", tuple(s for s in EVERY if s.widen == "hidden"),
              lambda spec: (cell("token-bits", spec, 100, 16), cell("token-bits", spec, 100, 32)), always),
        claim("retrieval.recurrence-cannot", 2, "A recurrence cannot retrieve.", EVERY, trained(4), never),
        claim("retrieval.early-degrades", 2, "What was read early is lost.", EVERY, trained(16), fades),
        claim("segments.funnel", 2, "Segments funnel through the state.", EVERY,
              lambda spec: (cell("token-bits", spec, 32),), always),
        claim("segments.no-retrieval", 2, "Nothing is retrieved across segments.", EVERY, trained(4), never),
        claim("truncation.saves-memory", 3, "Truncation saves memory.", RECURRENT, arms, always),
        claim("truncation.caps-learning", 3, "Nothing beyond the window is learned.", RECURRENT, arms, never),
        claim("segments.saves-memory", 3, "Segments save memory.", RECURRENT, arms, always),
        claim("gradient.vanishes-recurrent", 3, "Gradients vanish.", EVERY,
              lambda spec: (cell("gradient-horizon", spec, 64),), fades),
        claim("retrieval.attention-regardless-of-distance", 4, "Attention retrieves regardless of distance.", RECALLED,
              constructed, always),
        KNOWN,
    )
}  # fmt: skip


def questions_of(claims: Sequence[AbstractClaim], layers: Sequence[LayerSpec] = EVERY) -> tuple[Question, ...]:
    """Each claim asked of the layers that it speaks of; of an instrument, check by check."""
    return tuple(
        Question(claim=c.id, layer=spec, algorithm=algorithm, scope=scope(width=WIDTH, threads=1))
        for c in claims
        for spec in ((INSTRUMENT,) if c is KNOWN else layers)
        if c.applies(spec)
        for algorithm in (CHECKS if spec is INSTRUMENT else (spec.fastest or spec.algorithms[0],))
    )


def information_page(
    layers: Sequence[LayerSpec] = EVERY,
    claims: Sequence[str] = tuple(CLAIMS),
    beside: Page | None = None,
    without: Sequence[str] = (),
) -> Page:
    """A page with these claims asked of these layers.

    Args:
        layers, claims: what is asked.
        beside: a page whose questions and rows come first.
        without: probes whose cells are not measured.
    """
    base = page(layers=(), notes=()) if beside is None else beside
    asked = questions_of([CLAIMS[name] for name in claims], layers)
    cells = {cell.id: cell for q in asked for cell in CLAIMS[q.claim].requires(q)}
    rows = (Row(cell, None) if cell.probe in without else row_of(cell) for cell in cells.values())
    table = Table([*base.table, *rows])
    return dataclasses.replace(
        base,
        questions=(*base.questions, *asked),
        judgements=(*base.judgements, *(CLAIMS[q.claim].judge(q, table) for q in asked)),
        claims={**base.claims, **CLAIMS},
        table=table,
    )
