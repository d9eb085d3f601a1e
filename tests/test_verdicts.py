"""Claims on synthetic tables whose truth is known: every verdict can come out, and none comes from a gap."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from seqscale.layers.catalogue import LAYERS
from seqscale.probes.catalogue import INSTRUMENT
from seqscale.records import Question, Scope
from seqscale.rows import Observation, Outcome, OutcomeKind, Row, Sample, Table
from seqscale.verdicts.base import Kind, Reason, Verdict
from seqscale.verdicts.catalogue import CLAIMS

OK = Outcome(kind=OutcomeKind.ok)
LENGTHS = (32, 64, 128, 256, 512, 1024, 2048, 4096)
ASKED = {**LAYERS, INSTRUMENT.name: INSTRUMENT}


def scope(lengths=LENGTHS):
    return Scope(
        lengths=lengths, width=64, batch=1, dtype="float32", device="cpu", threads=1, seed=0, launcher="fork",
        machine="none", torch="0",
    )  # fmt: skip


def ask(claim, layer="gru", algorithm="library"):
    return Question(claim=claim, layer=ASKED[layer], algorithm=algorithm, scope=scope())


def layer_of(claim):
    """A layer of the catalogue, or the instrument, that the claim applies to."""
    return next(name for name in ("gru", "attention", INSTRUMENT.name) if CLAIMS[claim].applies(ASKED[name]))


def timed(law, noise=0.02, rounds=9, seed=0):
    """Return cell -> row for a time that follows `law` of (length, hidden), each round with relative noise."""
    draw = random.Random(seed)

    def row(cell):
        level = law(cell.length, dict(cell.options).get("hidden", cell.width))
        own = math.exp(draw.gauss(0, 0.005))
        samples = [Sample(value=level * own * math.exp(draw.gauss(0, noise)), launch=0, round=i) for i in range(rounds)]
        return Row(cell, OK, {"time": Observation.of("time", samples)})

    return row


def counted(**laws):
    """Return cell -> row for exact counts, each a law of (batch, length, width)."""

    def row(cell):
        size = (cell.batch, cell.length, dict(cell.options).get("hidden", cell.width))
        seen = {
            name: Observation.of(name, [Sample(value=law(*size))])
            for name, law in laws.items()
            if cell.probe == "memory" or name in ("work", "saved_bytes", "state_bytes", "state_elements")
        }
        return Row(cell, OK, seen)

    return row


def judge(question, row_of):
    claim = CLAIMS[question.claim]
    return claim.judge(question, Table(row_of(cell) for cell in claim.requires(question)))


TIME_CLAIMS = ("time.linear-forward", "time.linear-training")


@pytest.mark.parametrize("claim", TIME_CLAIMS)
@pytest.mark.parametrize(
    ("law", "verdict", "reason"),
    [
        (lambda t, h: 1e-5 * t, Verdict.supported, None),
        (lambda t, h: 1e-4 + 1e-5 * t, Verdict.supported, None),
        (lambda t, h: 1e-8 * t * t, Verdict.contradicted, None),
        (lambda t, h: 1e-4 * t**0.7, Verdict.contradicted, None),
        (lambda t, h: 1e-4, Verdict.undecided, Reason.reach),
        (lambda t, h: 2e-2 + 1e-5 * t, Verdict.undecided, Reason.reach),
        (lambda t, h: 5e-3 + 1e-8 * t * t, Verdict.contradicted, None),
        (lambda t, h: 1e-5 * (t + t * t / 100_000), Verdict.supported, None),
        (lambda t, h: 5e-3 + 1e-5 * t, Verdict.undecided, Reason.reach),
        (lambda t, h: 1.1e-9 * (4 * 1024**2 + t * t), Verdict.undecided, Reason.reach),
    ],
    ids=[
        "linear",
        "overhead, small",
        "quadratic",
        "sublinear",
        "constant",
        "overhead, most",
        "overhead and quadratic",
        "quadratic still small",
        "overhead, some",
        "overhead that hides a quadratic",
    ],
)
def test_time_is_judged_by_its_slope(claim, law, verdict, reason):
    found = judge(ask(claim), timed(law))
    assert (found.verdict, found.reason) == (verdict, reason), found.statement


@pytest.mark.parametrize(
    ("claim", "exponent", "verdict"),
    [
        ("width.time-quadruples", 2.0, Verdict.supported),
        ("width.time-quadruples", 1.0, Verdict.contradicted),
        ("width.time-quadruples", 1.9, Verdict.undecided),
    ],
)
def test_time_of_a_doubled_state(claim, exponent, verdict):
    assert judge(ask(claim), timed(lambda t, h: 1e-9 * t * h**exponent)).verdict is verdict


def test_work_of_a_doubled_state_is_counted_exactly():
    found = judge(ask("width.work-quadruples"), counted(work=lambda b, t, h: 2 * b * t * (h * h + 64 * h)))
    assert found.verdict is Verdict.supported
    assert found.evidence["ratio"]["value"] == pytest.approx((1024**2 + 64 * 1024) / (512**2 + 64 * 512))
    linear = judge(ask("width.work-quadruples"), counted(work=lambda b, t, h: 2 * b * t * h))
    assert linear.verdict is Verdict.contradicted


def memory(saved, unexplained=0.0):
    peak = 4 * 2**20
    return counted(
        saved_bytes=saved,
        predicted_peak_bytes=lambda b, t, h: peak,
        measured_peak_bytes=lambda b, t, h: peak + unexplained,
        node_bytes=lambda b, t, h: 0,
        unexplained_bytes=lambda b, t, h: unexplained,
        graph_nodes=lambda b, t, h: 10,
    )


@pytest.mark.parametrize(
    ("claim", "layer", "saved", "verdict"),
    [
        ("memory.bptt-linear", "gru", lambda b, t, d: 4 * b * t * (6 * d + 1), Verdict.supported),
        ("memory.bptt-linear", "gru", lambda b, t, d: 4 * b * (t * t + 3 * t * d), Verdict.contradicted),
        ("memory.bptt-linear", "gru", lambda b, t, d: 4 * b * d, Verdict.contradicted),
        ("memory.attention-training", "attention", lambda b, t, d: 16 * b * t * d, Verdict.contradicted),
        ("memory.attention-training", "attention", lambda b, t, d: 16 * b * d, Verdict.supported),
    ],
)
def test_training_memory_is_judged_by_its_exact_law(claim, layer, saved, verdict):
    found = judge(ask(claim, layer), memory(saved))
    assert found.verdict is verdict, found.statement
    assert found.evidence["law"]["exact"]


def test_the_katas_example_is_worked_out():
    found = judge(ask("memory.bptt-linear"), memory(lambda b, t, d: 12 * b * t * d))
    assert "T = 10,000 at d = 1024 saves 122.9 MB (the kata says 40.96 MB)" in found.statement
    assert "24 layers at batch 32 save 94.37 GB (the kata says 31.46 GB)" in found.statement


def test_a_batch_of_one_may_have_a_law_of_its_own():
    found = judge(ask("memory.bptt-linear"), memory(lambda b, t, d: (4 if b == 1 else 9 * b) * t * d))
    assert "4*T*d B at B = 1, 9*B*T*d B at B >= 2, exact" in found.statement
    same = judge(ask("memory.bptt-linear"), memory(lambda b, t, d: 9 * b * t * d))
    assert "saved bytes = 9*B*T*d B, exact" in same.statement


def test_a_count_without_an_exact_law_is_fitted_and_says_so():
    found = judge(ask("memory.bptt-linear"), memory(lambda b, t, d: 4 * b * d * (7 * t + (t * 7919) % 5)))
    assert not found.evidence["law"]["exact"]
    assert "no exact law" in found.statement


def test_an_unexplained_peak_is_an_instrument_fault():
    found = judge(ask("memory.bptt-linear"), memory(lambda b, t, d: 4 * b * t * d, unexplained=64 * 2**20))
    assert (found.verdict, found.reason) == (Verdict.undecided, Reason.instrument)


@pytest.mark.parametrize(
    ("state", "verdict"),
    [(lambda b, t, d: 4 * d, Verdict.supported), (lambda b, t, d: 8 * t * d, Verdict.contradicted)],
)
def test_decode_state(state, verdict):
    own = counted(state_bytes=state, state_elements=lambda b, t, d: state(b, t, d) / 4)
    assert judge(ask("memory.decode-state"), own).verdict is verdict


def test_a_state_that_differs_from_the_layers_own_law_is_a_fault():
    wrong = counted(state_bytes=lambda b, t, d: 4 * d, state_elements=lambda b, t, d: 2 * d)
    assert judge(ask("memory.decode-state"), wrong).reason is Reason.instrument


@pytest.mark.parametrize("name", CLAIMS)
@pytest.mark.parametrize("kind", [None, *(kind for kind in OutcomeKind if kind is not OutcomeKind.ok)])
def test_a_gap_is_never_a_verdict(name, kind):
    layer = layer_of(name)
    outcome = None if kind is None else Outcome(kind=kind, reason="why", needed_s=3.0)
    found = judge(ask(name, layer), lambda cell: Row(cell, outcome))
    assert found.verdict is Verdict.undecided
    assert found.reason is (Reason.budget if kind in (None, OutcomeKind.skipped) else Reason.unanswerable)
    assert found.missing


GROWTH = [name for name in CLAIMS if name.startswith(("time.linear-", "memory."))]


@pytest.mark.parametrize("name", GROWTH)
def test_too_few_lengths_decide_nothing(name):
    claim, question = CLAIMS[name], replace(ask(name, layer_of(name)), scope=scope((64, 128)))
    rows = [
        memory(lambda b, t, d: 4 * t * d)(cell)
        if cell.probe == "memory"
        else timed(lambda t, h: 1e-5 * t)(cell)
        if cell.probe == "time"
        else counted(saved_bytes=lambda b, t, d: 4 * t * d, state_bytes=lambda b, t, d: 4)(cell)
        for cell in claim.requires(question)
    ]
    found = claim.judge(question, Table(rows))
    assert (found.verdict, found.reason) == (Verdict.undecided, Reason.reach)


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_needs_each_cell_once_and_is_registered_whole(name):
    claim = CLAIMS[name]
    cells = claim.requires(ask(name, layer_of(name)))
    assert len({cell.id for cell in cells}) == len(cells) > 0
    assert claim.sentence.endswith(".") and claim.estimand and claim.takeaway in range(5)
    assert claim.delta > 0 or claim.kind is Kind.universal  # bounds by exact laws need no smallest effect


def test_an_overhead_that_flattens_the_last_octaves_is_no_contradiction():
    short = replace(ask("time.linear-forward", "lstm"), scope=scope((64, 128, 256, 512, 1024)))
    found = judge(short, timed(lambda t, h: 2.26e-4 + 2.2e-6 * t, noise=0.005))
    assert (found.verdict, found.reason) == (Verdict.undecided, Reason.reach), found.statement


def test_linear_time_is_wrongly_judged_no_more_often_than_its_level():
    question = ask("time.linear-forward")
    found = [judge(question, timed(lambda t, h: 2e-5 + 1e-5 * t, noise=0.03, seed=s)).verdict for s in range(100)]
    assert found.count(Verdict.contradicted) <= 5
    steep = [judge(question, timed(lambda t, h: 1e-5 * t**1.1, noise=0.03, seed=s)).verdict for s in range(100)]
    assert steep.count(Verdict.supported) <= 12  # level 5 % at the edge of delta; 99.9 % binomial limit of 100
