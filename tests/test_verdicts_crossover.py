"""The claim on many processors on synthetic laws whose truth is known."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from count_tables import CONTRADICTED, GONE, SUPPORTED, UNDECIDED, counts, linear, log2, rough, uncounted
from test_verdicts import ask, judge
from test_verdicts_idle import machine

from seqscale.rows import Row
from seqscale.verdicts.base import Reason

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
