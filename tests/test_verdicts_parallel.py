"""Claims on span and width on synthetic counts whose truth is known."""

from __future__ import annotations

import pytest
from count_tables import CONTRADICTED, GONE, SUPPORTED, UNDECIDED, counts, linear, log2, rough, seen, uncounted
from test_verdicts import OK, ask, judge

from seqscale.fit.power import fit_power
from seqscale.layers.catalogue import LAYERS
from seqscale.records import LayerSpec, Question
from seqscale.rows import Outcome, OutcomeKind, Row, Table
from seqscale.units import format_value
from seqscale.verdicts.base import Reason
from seqscale.verdicts.catalogue import CLAIMS
from seqscale.verdicts.common import points_of
from seqscale.verdicts.counts import LENGTHS, LOOP_LENGTHS, count_laws, law_cells
from seqscale.verdicts.memory import _close, _Laws
from seqscale.verdicts.parallel import SCHEDULED_LENGTH

# -- spans -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ideal", "verdict", "says"),
    [
        (linear(17, 12), SUPPORTED, "ideal span = 17*T + 12 steps"),
        (linear(1, 1000), SUPPORTED, "ideal span = T + 1000 steps"),
        (lambda t: 5 * log2(t) + 4, CONTRADICTED, "more slowly than in proportion"),
        (lambda t: 9, CONTRADICTED, "ideal span = 9 steps"),
        (lambda t: t * log2(t) + 2 * t, CONTRADICTED, "faster than in proportion"),
        (lambda t: t * t, CONTRADICTED, "faster than in proportion"),
    ],
    ids=["linear", "linear with an overhead", "logarithmic", "constant", "T log T", "quadratic"],
)
def test_the_span_of_a_recurrence_is_judged_by_its_exact_law(ideal, verdict, says):
    found = judge(ask("parallel.span-grows"), counts(ideal=ideal))
    assert found.verdict is verdict, found.statement
    assert says in found.statement
    assert found.evidence["laws"]["ideal_span"]["exact"]


def test_the_statement_gives_laws_parallelism_and_where_they_were_held_out():
    found = judge(ask("parallel.span-grows"), counts(span=linear(3, 3), ideal=linear(10), work=linear(2000)))
    for words in ("kernel span = 3*T + 3 kernels", "200 at T = 4096", "exact for T 2..4096", "3000 and 4096"):
        assert words.replace("3*T + 3", "3*(T + 1)") in found.statement or words in found.statement, found.statement
    assert [curve.quantity for curve in found.curves] == ["kernel_span", "ideal_span", "work"]


def test_a_loop_is_counted_at_shorter_lengths_and_held_out_at_a_prime():
    loop, whole = (law_cells(ask("parallel.span-grows", "gru", a)) for a in ("reference", "library"))
    assert [cell.length for cell in loop] == list(LOOP_LENGTHS)
    assert [cell.length for cell in whole] == list(LENGTHS)
    assert max(LOOP_LENGTHS) == 521
    assert "held out at" in judge(ask("parallel.span-grows", "gru", "reference"), counts()).statement


@pytest.mark.parametrize("chunk", [100, 200, 500])
@pytest.mark.parametrize("claim", ["parallel.span-grows", "parallel.recurrence-cannot"])
def test_a_curve_through_counts_proves_no_growth(claim, chunk):
    """A chain over chunks whose size is no power of two: linear, and a power fitted to it may say anything."""
    for ideal in (rough, lambda t: -(-t // chunk) + 22, lambda t: t * t + (t * 7919) % 5):
        found = judge(ask(claim), counts(ideal=ideal))
        assert (found.verdict, found.reason) == (UNDECIDED, Reason.law), found.statement


SPANS = ("parallel.span-grows", "parallel.attention-span-flat", "parallel.recurrence-cannot")


@pytest.mark.parametrize("claim", [*SPANS, "width.no-parallelism"])
def test_an_operator_without_a_law_leaves_a_lower_bound_and_no_verdict(claim):
    layer = "attention" if "attention" in claim else "gru"
    found = judge(ask(claim, layer), uncounted)
    assert (found.verdict, found.reason) == (UNDECIDED, Reason.instrument)
    assert "a lower bound only: no law for my::scan" in found.statement


def test_work_of_an_operator_without_a_law_is_no_verdict_either():
    found = judge(ask("width.work-quadruples"), uncounted)
    assert (found.verdict, found.reason) == (UNDECIDED, Reason.instrument)


@pytest.mark.parametrize("claim", SPANS)
def test_one_count_that_is_still_to_come_keeps_the_verdict_open(claim):
    layer = "attention" if "attention" in claim else "gru"
    found = judge(ask(claim, layer), lambda c: Row(c, None) if c.length == 521 else counts()(c))
    assert (found.verdict, found.reason) == (UNDECIDED, Reason.budget)


def test_the_longest_count_may_be_skipped_and_the_law_then_reaches_less_far():
    skipped = Outcome(kind=OutcomeKind.skipped, reason="too dear", needed_s=99.0)
    found = judge(ask("parallel.span-grows"), lambda c: Row(c, skipped) if c.length == 4096 else counts()(c))
    assert found.verdict is SUPPORTED
    assert "exact for T 2..3000" in found.statement
    assert [cell.length for cell in found.missing] == [4096]


def test_the_schedule_is_asked_for_and_no_verdict_waits_for_it():
    question = ask("parallel.span-grows")
    cells = CLAIMS[question.claim].requires(question)
    assert [cell.length for cell in cells if cell.probe == "schedule"] == [SCHEDULED_LENGTH]
    found = judge(question, lambda c: Row(c, None) if c.probe == "schedule" else counts()(c))
    assert found.verdict is SUPPORTED


# -- attention -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kernels", "ideal", "verdict", "says"),
    [
        (lambda t: 9, lambda t: 3 * log2(t) + 20, SUPPORTED, "kernel span = 9"),
        (lambda t: 9, lambda t: 20, SUPPORTED, "ideal span = 20"),
        (lambda t: 9, linear(2), CONTRADICTED, "the ideal span grows faster than log T"),
        (linear(4, 1), lambda t: 3 * log2(t) + 20, CONTRADICTED, "the number of kernels grows"),
        (linear(4, 1), linear(2), CONTRADICTED, "the number of kernels grows"),
        (lambda t: 9, rough, UNDECIDED, "no exact law verifies"),
    ],
    ids=["logarithmic", "constant", "one long kernel", "many kernels", "a loop", "no law"],
)
def test_both_parts_of_a_flat_span_must_hold(kernels, ideal, verdict, says):
    found = judge(ask("parallel.attention-span-flat", "attention"), counts(span=kernels, ideal=ideal))
    assert found.verdict is verdict, found.statement
    assert says in found.statement


# -- every algorithm -------------------------------------------------------------------------------------------------


def by_algorithm(**rows):
    return lambda cell: rows[cell.algorithm](cell)


TREE = counts(ideal=lambda t: 4 * log2(t) + 6)


@pytest.mark.parametrize(
    ("first", "second", "verdict", "reason"),
    [
        (counts(), counts(), SUPPORTED, None),
        (counts(), counts(ideal=lambda t: t * log2(t) + t), SUPPORTED, None),
        (counts(), TREE, CONTRADICTED, None),
        (TREE, counts(), CONTRADICTED, None),
        (lambda c: Row(c, None), TREE, CONTRADICTED, None),
        (uncounted, TREE, CONTRADICTED, None),
        (counts(), lambda c: Row(c, None), UNDECIDED, Reason.budget),
        (counts(), lambda c: Row(c, GONE), UNDECIDED, Reason.unanswerable),
        (counts(), uncounted, UNDECIDED, Reason.instrument),
        (counts(), counts(ideal=lambda t: 20 + (t * 7919) % 5), UNDECIDED, Reason.law),
    ],
)
@pytest.mark.parametrize("asked", ["library", "reference"])
def test_one_exact_parallel_form_contradicts_the_universal_sentence(first, second, verdict, reason, asked):
    found = judge(
        ask("parallel.recurrence-cannot", "gru", asked), by_algorithm(library=first, reference=second, fused=second)
    )
    assert (found.verdict, found.reason) == (verdict, reason), found.statement
    if verdict is CONTRADICTED:
        assert "is an exact parallel form" in found.statement
    if verdict is SUPPORTED:
        assert "no finite list proves a universal sentence" in found.statement


# -- width -----------------------------------------------------------------------------------------------------------


def widened(work, ideal):
    def row(cell):
        size = dict(cell.options)["hidden"]
        return counts(ideal=lambda t: ideal(t, size), work=lambda t: work(t, size))(cell)

    return row


@pytest.mark.parametrize(
    ("work", "ideal", "verdict", "says"),
    [
        (lambda t, h: t * h * h, lambda t, h: t * (1 + log2(h)), CONTRADICTED, "a wider state adds none there"),
        (lambda t, h: t * h, lambda t, h: t * h, SUPPORTED, "grows 1.00x"),
        (lambda t, h: t * h * h, lambda t, h: h // 8, CONTRADICTED, "grows 2.00x"),
    ],
    ids=["a recurrence", "as much span as work", "all steps at once"],
)
def test_a_wider_state_within_a_step_and_across_time(work, ideal, verdict, says):
    found = judge(ask("width.no-parallelism"), widened(work, ideal))
    assert found.verdict is verdict, found.statement
    assert says in found.statement
    if verdict is CONTRADICTED and "2.00x" in says:
        assert "adds none" not in found.statement


# -- laws ------------------------------------------------------------------------------------------------------------


def test_laws_of_another_algorithm_of_the_same_layer():
    question = ask("parallel.span-grows")
    table = Table(counts(ideal=linear(5))(cell) for cell in law_cells(question, "reference"))
    assert count_laws(question, table) is None
    laws = count_laws(question, table, "reference")
    assert laws.label == "gru/reference"
    assert laws.ideal_span.value(T=1000) == 5000
    assert laws.traffic.text() == "40*T"
    assert laws.parallelism(64) == 20


def test_a_layer_of_the_users_own_is_asked_too():
    own = LayerSpec(
        name="m.py:M", target="m.py:M", version="1", family="own", algorithms=("own",), widen="width", sentence="x"
    )
    question = Question(claim="parallel.span-grows", layer=own, algorithm="own", scope=ask("parallel.span-grows").scope)
    assert CLAIMS["parallel.span-grows"].applies(own)
    assert not CLAIMS["parallel.attention-span-flat"].applies(own)
    assert not CLAIMS["parallel.span-grows"].applies(LAYERS["attention"])
    assert judge(question, counts()).verdict is SUPPORTED
    assert format_value("ideal_span", 12) in "12 steps"


def test_a_fitted_law_of_saved_bytes_must_lie_close_to_every_count():
    """Bytes that grow chunk by chunk are far off any curve: no verdict, unless the curve meets every count."""
    question = ask("memory.bptt-linear")
    cells = [c for c in CLAIMS[question.claim].requires(question) if c.probe == "memory"]
    for step, close in ((1500, False), (1, True)):
        rows = tuple(Row(c, OK, seen(saved_bytes=1000 * -(-c.length // step))) for c in cells)
        own = fit_power(points_of(rows, "saved_bytes"))
        assert _close(_Laws(batch=1, width=8, own=own, batches=None), rows) is close
