"""Claims on span, idle hardware and width on synthetic counts and times whose truth is known."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace

import pytest
from test_verdicts import OK, ask, judge

from seqscale.ceilings import ceiling_cells
from seqscale.layers.catalogue import LAYERS
from seqscale.records import LayerSpec, Observation, Outcome, OutcomeKind, Question, Row, Sample, Table
from seqscale.units import format_value
from seqscale.verdicts.base import Reason, Verdict
from seqscale.verdicts.catalogue import CLAIMS
from seqscale.verdicts.counts import LENGTHS, LOOP_LENGTHS, count_laws, law_cells
from seqscale.verdicts.idle import BATCHES, LENGTH
from seqscale.verdicts.parallel import SCHEDULED_LENGTH

SUPPORTED, CONTRADICTED, UNDECIDED = Verdict.supported, Verdict.contradicted, Verdict.undecided


def log2(t):
    return math.ceil(math.log2(t))


def seen(**values):
    return {name: Observation.of(name, [Sample(value=value)]) for name, value in values.items()}


def counts(span=lambda t: 3 * t + 3, ideal=None, kernels=None, work=lambda t: 100 * t, traffic=lambda t: 40 * t):
    """Return cell -> row of counts that follow laws of the length."""

    def row(cell):
        t = cell.length
        found = {
            "work": work(t),
            "traffic_bytes": traffic(t),
            "kernels": (kernels or span)(t),
            "kernel_span": span(t),
            "ideal_span": (ideal or span)(t),
        }
        return Row(cell, OK, seen(**found))

    return row


def uncounted(cell):
    return Row(cell, Outcome(kind=OutcomeKind.ok, reason="no law for my::scan"), seen(kernels=3 * cell.length))


def linear(a, b=0):
    return lambda t: a * t + b


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


def rough(t):
    """A span near T that no law of sizes gives."""
    return 7 * t + (t * 7919) % 5


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


GONE = Outcome(kind=OutcomeKind.failed, reason="why")


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
    found = judge(ask("parallel.recurrence-cannot", "gru", asked), by_algorithm(library=first, reference=second))
    assert (found.verdict, found.reason) == (verdict, reason), found.statement
    if verdict is CONTRADICTED:
        assert "is an exact parallel form" in found.statement
    if verdict is SUPPORTED:
        assert "no finite list proves a universal sentence" in found.statement


# -- idle hardware ---------------------------------------------------------------------------------------------------

PEAK, BANDWIDTH, STEP, BARRIER = 80e9, 20e9, 1e-9, 2e-6


def noisy(name, level, seed, noise=0.01, rounds=9):
    draw = random.Random(str(seed))
    return Observation.of(name, [Sample(value=level * math.exp(draw.gauss(0, noise)), round=i) for i in range(rounds)])


def machine(share, speed_up=lambda batch: 1.0, span=128, kernels=128, noise=0.01, traffic=lambda b: 1e5 * b):
    """Return cell -> row for a layer that reaches `share` (of the batch) of the ceiling with one thread."""

    def row(cell):
        if cell.probe == "ceiling":
            name, level = {
                "product": ("flop_rate", PEAK),
                "stream": ("bandwidth", BANDWIDTH),
                "step": ("dependent_step_time", STEP),
                "barrier": ("barrier_time", BARRIER),
            }[cell.algorithm]
            return Row(cell, OK, {name: noisy(name, level, cell.id, noise)})
        work = 2e6 * cell.batch
        if cell.probe == "count":
            found = seen(
                work=work, traffic_bytes=traffic(cell.batch), kernels=kernels, kernel_span=kernels, ideal_span=span
            )
            return Row(cell, OK, found)
        seconds = work / (share(cell.batch) * PEAK) / (speed_up(cell.batch) if cell.threads == 2 else 1.0)
        return Row(cell, OK, {"time": noisy("time", seconds, cell.id, noise)})

    return row


IDLE = ask("parallel.idle-hardware")


@pytest.mark.parametrize(
    ("share", "verdict", "reason"),
    [
        (lambda b: 0.01 * b**0.5, SUPPORTED, None),
        (lambda b: 0.3, CONTRADICTED, None),
        (lambda b: 0.1, UNDECIDED, Reason.noise),
        (lambda b: 0.02 if b < 64 else 1.3, UNDECIDED, Reason.instrument),
        (lambda b: 1.2, UNDECIDED, Reason.instrument),
    ],
    ids=["idle", "busy", "at the bound", "above the ceiling at a large batch", "above the ceiling"],
)
def test_the_share_of_the_ceiling_decides(share, verdict, reason):
    found = judge(IDLE, machine(share))
    assert (found.verdict, found.reason) == (verdict, reason), found.statement


def test_the_share_is_work_over_time_over_ceiling_and_rises_with_the_batch():
    found = judge(IDLE, machine(lambda b: 0.01 * b**0.5, noise=1e-6))
    assert [s["value"] for s in found.evidence["shares"]] == pytest.approx([0.01 * b**0.5 for b in BATCHES], rel=1e-3)
    assert "at batch 64 (8x)" in found.statement
    assert "(800 MFLOP/s of 80 GFLOP/s) at batch 1" in found.statement


@pytest.mark.parametrize(("slower", "verdict"), [(1.0, SUPPORTED), (2.0, UNDECIDED)])
def test_a_machine_that_was_slower_while_its_ceiling_was_measured_decides_nothing(slower, verdict):
    layer = machine(lambda b: 0.07 * slower)  # of a ceiling that came out too low

    def row(cell):
        found = layer(cell)
        reference_s = 3e-3 * (slower if cell.probe == "ceiling" else 1.0)
        seen = {
            name: replace(o, samples=tuple(replace(s, reference_s=reference_s) for s in o.samples))
            for name, o in found.observations.items()
        }
        return Row(cell, OK, seen)

    found = judge(IDLE, row)
    assert found.verdict is verdict, found.statement


def test_the_roofline_has_what_the_report_draws():
    roofline = judge(IDLE, machine(lambda b: 0.02, noise=1e-6)).evidence["roofline"]
    assert roofline["unit"] == "flop/s, flop/B"
    assert (roofline["peak"], roofline["bandwidth"]) == pytest.approx((PEAK, BANDWIDTH), rel=1e-3)
    assert roofline["threads"] == 1
    point = roofline["points"][0]
    assert (point["batch"], point["length"], point["intensity"]) == (1, LENGTH, 20.0)
    assert point["low"] <= point["rate"] <= point["high"]
    assert point["rate"] == pytest.approx(0.02 * PEAK, rel=1e-3)


@pytest.mark.parametrize("name", ["step", "barrier", "stream", "threads"])
def test_the_verdict_does_without_what_only_stands_beside_it(name):
    full = machine(lambda b: 0.01)

    def row(cell):
        missing = cell.algorithm == name or (name == "threads" and cell.probe == "time" and cell.threads == 2)
        return Row(cell, GONE) if missing else full(cell)

    found = judge(IDLE, row)
    assert found.verdict is SUPPORTED
    assert ("roofline" in found.evidence) == (name != "stream")
    assert ("2 threads take" in found.statement) == (name == "stream")


@pytest.mark.parametrize("missing", ["product", "count", "time"])
def test_no_share_without_time_count_and_ceiling(missing):
    found = judge(IDLE, lambda c: Row(c, None) if missing in (c.algorithm, c.probe) else machine(lambda b: 0.01)(c))
    assert (found.verdict, found.reason) == (UNDECIDED, Reason.budget)


@pytest.mark.parametrize(
    ("speed_up", "steps", "kernels", "why"),
    [
        (1.0, "above", "within", "no gain: a kernel moves 195 numbers on average, torch splits none below 32,768"),
        (1.85, "above", "below", "less than allowed: a kernel moves 195 numbers"),
        (1.97, "within", "below", "threads share kernels"),
        (0.5, "above", "above", "slower than one thread"),
        (0.5, "above", "above", "which leaves out what it costs that threads meet"),
    ],
)
def test_two_threads_are_held_against_both_intervals(speed_up, steps, kernels, why):
    # 128 kernels that wait for each other: no scheduler of whole kernels gains, one that splits them may
    found = judge(IDLE, machine(lambda b: 0.001 * b, lambda b: speed_up))
    said = next(part for part in found.statement.split("; ") if part.startswith("at batch 1, 2 threads"))
    assert f"{steps} the" in said and f"{kernels} the" in said and why in said, said
    assert len(found.evidence["threads"]) == 2


def test_kernels_that_torch_could_split_are_not_called_too_small():
    found = judge(IDLE, machine(lambda b: 0.001 * b, lambda b: 1.0, traffic=lambda b: 1e9 * b))
    assert "numbers on average, enough to be split" in found.statement


def test_the_sentence_is_judged_at_batch_one_whatever_the_study_has():
    wide = replace(IDLE, scope=replace(IDLE.scope, batch=32, threads=2))
    cells = CLAIMS[IDLE.claim].requires(wide)
    assert {c.batch for c in cells if c.probe == "time"} == set(BATCHES)
    assert {c.threads for c in cells if c.probe == "time" and c.batch == 1} == {1, 2}
    assert all(c.batch == c.length == c.width == 1 and not c.options for c in cells if c.probe == "ceiling")


def test_times_of_another_number_format_are_not_held_against_the_ceiling_of_float32():
    double = replace(IDLE, scope=replace(IDLE.scope, dtype="float64"))
    found = judge(double, machine(lambda b: 0.01))
    assert (found.verdict, found.reason) == (UNDECIDED, Reason.instrument)
    assert {c.dtype for c in CLAIMS[IDLE.claim].requires(double) if c.probe == "ceiling"} == {"float32"}


def test_the_ceilings_are_the_cells_that_the_verb_machine_measures():
    verb = {cell.algorithm: cell for threads in (1, 2) for cell in ceiling_cells(threads, "cpu")}
    here = replace(IDLE, scope=replace(IDLE.scope, machine=verb["step"].machine, torch=verb["step"].torch, seed=3))
    asked = {c.algorithm: c for c in CLAIMS[IDLE.claim].requires(here) if c.probe == "ceiling"}
    assert asked["barrier"].id == verb["barrier"].id and asked["step"].id == verb["step"].id
    assert replace(asked["product"], threads=2).id == verb["product"].id


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


# -- many processors -------------------------------------------------------------------------------------------------

ATTENTION = counts(ideal=lambda t: 3 * log2(t) + 24, work=lambda t: 4 * t * (35 * t + 256))
CROSSING = "parallel.crossover-on-p-processors"


def against(rival, attention=ATTENTION):
    return lambda cell: (attention if cell.layer == "attention" else rival)(cell)


def short(*lengths):
    question = ask(CROSSING)
    return replace(question, scope=replace(question.scope, lengths=lengths))


@pytest.mark.parametrize(
    ("lengths", "verdict", "reason"),
    [
        ((256, 512), SUPPORTED, None),
        ((256, 4096), CONTRADICTED, None),
        ((256, 512, 1100), UNDECIDED, Reason.reach),
    ],
    ids=["attention first", "later at the longest", "bounds overlap at the longest"],
)
def test_who_finishes_first_on_1024_processors(lengths, verdict, reason):
    # attention: 0.137 T^2 + T + S, the recurrence: at least 100 T, at most 200 T
    found = judge(short(*lengths), against(counts(ideal=linear(100), work=linear(102_400))))
    assert (found.verdict, found.reason) == (verdict, reason), found.statement


def test_the_crossing_lies_where_the_bounds_part():
    found = judge(short(256, 512), against(counts(ideal=linear(100), work=linear(102_400))))
    passes = next(c for c in found.evidence["crossings"] if c["processors"]["value"] == 1024)["passes"]
    # surely first up to 0.137 T^2 + T + S = 100 T, surely later from 0.137 T^2 + T = 200 T on
    last = next(p for p in passes if p["first"] == "gru/library")
    assert 600 < last["from"] < 724 < 1455 < last["to"] < 1600
    assert f"P = 1,024: gru passes at T {last['from']:,}..{last['to']:,}" == found.headline
    assert "P = 65,536" in found.statement and "P = 1:" in found.statement
    assert "laws exact up to T = 4,096, extrapolated beyond" in found.statement


def test_a_law_decides_at_no_length_that_it_does_not_reach():
    easy = counts(ideal=linear(10_000), work=linear(10_240_000))
    assert judge(short(256, 512, 4096), against(easy)).verdict is SUPPORTED
    far = judge(short(256, 512, 8192), against(easy))
    assert (far.verdict, far.reason) == (UNDECIDED, Reason.reach)
    assert judge(short(8192, 16384), against(easy)).reason is Reason.reach
    later = judge(short(4096, 8192), against(counts(ideal=linear(100), work=linear(102_400))))
    assert later.verdict is CONTRADICTED


def test_there_may_be_no_crossing():
    found = judge(ask(CROSSING), against(counts(ideal=linear(10), work=linear(10)), counts(ideal=linear(1000))))
    assert found.verdict is CONTRADICTED
    assert "none up to T = 1,048,576: gru/library first throughout" in found.statement


@pytest.mark.parametrize(
    ("rival", "attention", "reason"),
    [
        (counts(), lambda c: Row(c, None), Reason.budget),
        (lambda c: Row(c, GONE), ATTENTION, Reason.unanswerable),
        (counts(ideal=rough), ATTENTION, Reason.instrument),
        (uncounted, ATTENTION, Reason.instrument),
    ],
)
def test_no_crossing_without_both_laws(rival, attention, reason):
    found = judge(ask(CROSSING), against(rival, attention))
    assert (found.verdict, found.reason) == (UNDECIDED, reason), found.statement


@pytest.mark.parametrize(
    ("claim", "row"),
    [
        ("parallel.span-grows", counts()),
        ("parallel.recurrence-cannot", counts()),
        ("parallel.idle-hardware", machine(lambda b: 0.01)),
        (CROSSING, against(counts(ideal=linear(100), work=linear(102_400)))),
        ("width.no-parallelism", counts()),
    ],
)
def test_what_is_found_is_written_as_json(claim, row):
    found = judge(ask(claim), row)
    assert json.loads(json.dumps(found.record()))["verdict"] == found.verdict.name
    assert found.headline and len(found.headline) < 50


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
    question = Question(claim="parallel.span-grows", layer=own, algorithm="own", scope=IDLE.scope)
    assert CLAIMS["parallel.span-grows"].applies(own)
    assert not CLAIMS["parallel.attention-span-flat"].applies(own)
    assert not CLAIMS["parallel.span-grows"].applies(LAYERS["attention"])
    assert judge(question, counts()).verdict is SUPPORTED
    assert format_value("ideal_span", 12) in "12 steps"
