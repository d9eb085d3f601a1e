"""The claim that a loop's time is not the recurrence's, on times whose ratio is known; and the page's table of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report_pages import page
from test_verdicts import ask, judge, timed

from seqscale.reporting.algorithms import costs
from seqscale.rows import Outcome, OutcomeKind, Row, Table
from seqscale.verdicts.base import Reason, Verdict
from seqscale.verdicts.catalogue import CLAIMS

CLAIM = "time.loop-is-overhead"
STEPS = {"reference": 20e-6, "library": 5e-6}


def steps(fused, **others):
    """Return cell -> row for algorithms that take so many seconds a token."""
    taken = {**STEPS, **others, "fused": fused}
    return lambda cell: timed(lambda t, h: t * taken[cell.algorithm], seed=len(cell.algorithm + cell.mode))(cell)


@pytest.mark.parametrize(
    ("fused", "verdict", "reason"),
    [
        (1e-6, Verdict.supported, None),
        (15e-6, Verdict.contradicted, None),
        (30e-6, Verdict.contradicted, None),
        (10e-6, Verdict.undecided, Reason.noise),
    ],
)
def test_the_loop_is_held_against_twice_the_kernel(fused, verdict, reason):
    found = judge(ask(CLAIM), steps(fused))
    assert (found.verdict, found.reason) == (verdict, reason), found.statement


def test_every_algorithm_and_the_gradient_are_said_with_their_factor():
    found = judge(ask(CLAIM), steps(1e-6))
    assert found.headline.startswith(("20", "19.")) and found.headline.endswith("a step")
    over = {(r["mode"], r["algorithm"]): r for r in found.evidence["over_the_kernel"]}
    assert over.keys() == {(m, a) for m in ("forward", "training") for a in ("library", "reference")}
    for (_, algorithm), r in over.items():
        assert r["low"] < STEPS[algorithm] / 1e-6 < r["high"] and r["unit"] == "1"
    assert found.scope["lengths"] == [512, 512]


def test_what_the_library_lacks_changes_no_verdict_and_what_the_kernel_lacks_leaves_none():
    gone = Outcome(kind=OutcomeKind.unsupported, reason="no numba")
    without = lambda name: lambda c: Row(c, gone) if c.algorithm == name else steps(1e-6)(c)  # noqa: E731
    assert judge(ask(CLAIM), without("library")).verdict is Verdict.supported
    found = judge(ask(CLAIM), without("fused"))
    assert (found.verdict, found.reason) == (Verdict.undecided, Reason.unanswerable)
    assert "no numba" in found.statement


def shown(row):
    """Return the page's table for this question alone."""
    question = ask(CLAIM)
    table = Table(row(cell) for cell in CLAIMS[CLAIM].requires(question))
    found = CLAIMS[CLAIM].judge(question, table)
    return costs(replace(page(), questions=(question,), judgements=(found,), claims=CLAIMS, table=table))


def test_the_page_sets_each_algorithm_against_the_fastest_of_its_layer():
    (gru,) = shown(steps(1e-6))
    assert (gru.layer, gru.length) == ("gru", 512)
    assert [cost.algorithm for cost in gru.costs] == ["library", "reference", "fused"]
    library, reference, fused = gru.costs
    assert not fused.over_least
    for mode in ("forward", "training"):
        assert library.over_least[mode].value == pytest.approx(5, rel=0.05)
        assert reference.over_least[mode].value == pytest.approx(20, rel=0.05)


def test_a_layer_timed_by_one_algorithm_has_no_line():
    gone = Outcome(kind=OutcomeKind.unsupported, reason="no numba")
    assert shown(lambda c: steps(1e-6)(c) if c.algorithm == "library" else Row(c, gone)) == ()
