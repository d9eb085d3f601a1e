"""The claim on idle hardware on synthetic times and ceilings whose truth is known."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from count_tables import CONTRADICTED, GONE, SUPPORTED, UNDECIDED, seen
from test_verdicts import OK, ask, judge

from seqscale.ceilings import ceiling_cells
from seqscale.rows import Observation, Row, Sample
from seqscale.verdicts.base import Reason
from seqscale.verdicts.catalogue import CLAIMS
from seqscale.verdicts.idle import BATCHES, LENGTH

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
