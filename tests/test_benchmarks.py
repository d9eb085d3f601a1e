"""The benchmarks: intervals, targets and tables on known figures, and that all peers compute the same."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks import instructions, jax_child, limits, peers, rows, tables
from benchmarks.matrices import matrix_arrays, matrix_calls
from benchmarks.rounds import FEWEST, Rounds, interleaved, timer
from benchmarks.selective import selective_arrays, selective_calls
from benchmarks.targets import DIAGONAL, MATRICES, SELECTIVE, SHAPES, TARGETS, Row, judge

TINY = (2, 3, 5, 11)
needs_jax = pytest.mark.skipif(not jax_child.available(), reason=jax_child.MISSING)


def row(name="elman", shape=SHAPES[0], mode="forward", ratios=(), shares=(), rounds=7):
    """A row with medians alone."""
    return Row(
        name=name, shape=shape, mode=mode, rounds=rounds, seconds=1e-3,
        ratios={peer: (value, value, value) for peer, value in dict(ratios).items()},
        shares={top: (value, value, value) for top, value in dict(shares).items()},
        apart=0.0,
    )  # fmt: skip


# -- rounds ------------------------------------------------------------------------------------------------------------


def test_a_ratio_is_the_median_of_the_rounds_own_ratios():
    slow_minute = np.array([1.0, 9.0, 1.0, 4.0, 1.0, 1.0, 2.0])
    ratios = np.array([2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0])
    found = Rounds({"fused": tuple(slow_minute), "other": tuple(slow_minute * ratios)})
    value, low, high = found.ratio("other", "fused")
    assert value == pytest.approx(2.0)
    assert low < 2 < high and high / low < 1.06, "what falls on a whole round is in no ratio"


def test_a_ratio_has_the_interval_of_its_median_not_its_middle_half():
    ratios = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0)
    value, low, high = Rounds({"fused": (1.0,) * 7, "other": ratios}).ratio("other", "fused")
    assert value == pytest.approx(2.5)
    assert 0.9 < low < 1.5 and 3.5 < high < 4.2, "of seven values, nearly the least and the greatest"


def test_the_interval_of_a_ratio_holds_the_truth_nineteen_times_in_twenty():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        noise = np.exp(0.3 * rng.standard_normal(7))
        _, low, high = Rounds({"fused": (1.0,) * 7, "other": tuple(3 * noise)}).ratio("other", "fused")
        held += low <= 3 <= high
    assert 0.92 <= held / 400 <= 0.99


def test_calls_take_turns_and_a_slow_one_gets_fewest_rounds(monkeypatch):
    turns = []
    monkeypatch.setattr("benchmarks.rounds.LONGEST_S", 0.0)

    def asked(name):
        return lambda times: turns.append((name, times)) or 0.02

    found = interleaved({"a": asked("a"), "b": asked("b")}, 50, rest_s=0.0)
    assert found.count == FEWEST >= 5
    assert turns == [("a", 1), ("b", 1)] * (1 + FEWEST)


def test_a_short_call_is_repeated_and_its_seconds_are_of_one():
    def asked(times):
        return 1e-3 * times

    found = interleaved({"fused": asked, "other": timer(lambda: None)}, 7, rest_s=0.0)
    assert found.count == 7 and found.median("fused") == pytest.approx(1e-3)


# -- ceilings ----------------------------------------------------------------------------------------------------------


def test_ceilings_scale_with_what_they_are_asked_for(monkeypatch):
    monkeypatch.setattr(limits, "timer", lambda call: lambda times: 2.0 * times)
    assert limits.products(limits.SQUARE**3)(3) == pytest.approx(3.0)
    assert limits.copying(peers.torch.zeros(4), 2.5)(2) == pytest.approx(10.0)
    monkeypatch.setattr(limits, "READ_BYTES", 4096)
    assert 0 < limits.reading(1024, 1000)(1) < 1


# -- targets -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["forward", "both"])
def test_every_row_has_a_target_against_each_of_its_peers(mode):
    for shape in SHAPES:
        for name in peers.CELLS:
            against = {j.target.against for j in judge(row(name, shape, mode))}
            assert against >= {"best"} or against >= {"torch.nn", "lax.scan"}, (name, shape)
    aims = {j.target.against for j in judge(row("diagonal", DIAGONAL, mode))}
    assert aims == {"copy", "lax.scan", "associative_scan", "pscan"}
    aims = {j.target.against for j in judge(row("selective", SELECTIVE, mode))}
    assert aims == {"lax.scan", "mambapy", "transformers"}


def test_every_target_is_of_some_row():
    known = {(n, s) for n in peers.CELLS for s in SHAPES} | {("diagonal", DIAGONAL), ("selective", SELECTIVE)}
    assert all((n, s) in known for t in TARGETS for n in t.names for s in t.shapes)


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        (row(ratios={"torch.nn": 20, "lax.scan": 1.99}), "missed scan 2; met nn 20"),
        (row(ratios={"torch.nn": 19.9, "lax.scan": 2}), "missed nn 20; met scan 2"),
        (row(mode="both", ratios={"torch.nn": 40, "lax.scan": 2}), "met nn 40, scan 2"),
        (row(ratios={"torch.nn": 21}), "met nn 20; not measured scan 2"),
        (row(ratios={"torch.nn": 21, "lax.scan": float("nan")}), "missed scan 2; met nn 20"),
        (row(shape=SHAPES[2], ratios={"torch.nn": 1, "lax.scan": 2}, shares={"products": 0.3, "read": 0.6}),
         "met nn 2*, scan 2"),
        (row(shape=SHAPES[2], ratios={"torch.nn": 1, "lax.scan": 2}, shares={"products": 0.3, "read": 0.5}),
         "missed nn 2*; met scan 2"),
        (row(shape=SHAPES[3], ratios={"torch.nn": 3, "lax.scan": 1.1, "numpy": 0.9}), "missed best 1"),
        (row(shape=SHAPES[3], ratios={"torch.nn": 3, "lax.scan": 1.1, "numpy": 1.0}), "met best 1"),
        (row(shape=SHAPES[6], ratios={"torch.nn": 1, "lax.scan": 1.2}, shares={"products": 0.55}),
         "missed nn 2*, scan 1.3*; met 50%"),
        (row("other", ()), "-"),
    ],
)  # fmt: skip
def test_the_column_of_targets_says_what_was_missed_and_what_met(figures, said):
    assert tables.verdict(judge(figures)) == said


# -- tables ------------------------------------------------------------------------------------------------------------


def test_lines_fit_a_terminal_and_their_table():
    wide = Row(
        name="elman", shape=SHAPES[6], mode="both", rounds=6, seconds=0.9876,
        ratios=dict.fromkeys(("torch.nn", "lax.scan", "numpy"), (0.67, 0.61, 0.72)), shares={"products": (0.4,) * 3},
        apart=0.0,
    )  # fmt: skip
    share = row("diagonal", DIAGONAL, "forward", {"associative_scan": 123.4}, {"copy": 0.91})
    lines = [*tables.head("both").splitlines(), tables.cell(wide)]
    longest = row("linear-attention", MATRICES, "forward", {"lax.scan": 1.0})
    linear = [*tables.LINEAR_HEAD.splitlines(), *tables.linear(longest), *tables.linear(share)]
    assert len({line.index("|", 2) for line in linear if "---" not in line}) == 1, linear
    for table in (lines, tables.loops([wide])[1:], linear):
        assert len({line.count("|") for line in table}) == 1, table
        assert max(map(len, table)) <= 120, table
    assert "91% [91%,91%]    | 70% met" in linear[-1] and "| 123 [123,123]    | 5 met" in linear[-2]
    assert max(map(len, tables.CAPTION.splitlines())) <= 120


def test_what_is_told_below_the_tables():
    found = [row(ratios={"torch.nn": 1, "lax.scan": 1}), row(mode="both", ratios={"torch.nn": 50}, rounds=6)]
    assert tables.counts(found) == "Figures are from 7 rounds, but of elman (1,8,16,5000) both 6."
    assert tables.met(found) == "1 of 4 targets met, 2 missed, 1 not measured"
    assert tables.as_json(found[0])["targets"][0] == {"against": "torch.nn", "wanted": "20", "met": False}


# -- peers -------------------------------------------------------------------------------------------------------------

MATRIX = ("linear-attention", "delta")
IN_JAX = {name: [name] for name in (*peers.CELLS, "selective", *MATRIX)} | {"diagonal": ["diagonal", "associative"]}
OTHERS = {
    "diagonal": {"layer scan", "pscan"},
    "selective": {"mambapy", "transformers"},
    "linear-attention": {"chunked"},
    "delta": {"chunked"},
}


def calls_of(name):
    """Arrays and calls of a tiny problem."""
    if name == "diagonal":
        arrays = peers.diagonal_arrays((2, 11, 5))
        return arrays, peers.diagonal(arrays)
    if name == "selective":
        arrays = selective_arrays((2, 11, 5, 3))
        return arrays, selective_calls(arrays)
    if name in MATRIX:
        arrays = matrix_arrays(name, (3, 70, 5))  # three chunks
        return arrays, matrix_calls(name, arrays)
    arrays = peers.nonlinear_arrays(name, TINY)
    return arrays, peers.nonlinear(name, arrays)


@pytest.mark.parametrize("name", IN_JAX)
def test_every_peer_here_computes_what_the_fused_kernel_does(name):
    arrays, calls = calls_of(name)
    for mode, by_peer in calls.items():
        own = peers.outputs(by_peer["fused"])
        assert len(own) == {"forward": 1, "both": len(arrays)}[mode]  # gy has no gradient, the outputs are one
        for peer, call in by_peer.items():
            assert peers.apart(peers.outputs(call), own) < 1e-5, (mode, peer)
    assert calls["forward"].keys() == {"fused", *OTHERS.get(name, {"torch.nn", "numpy"})}


def test_nan_anywhere_is_apart():
    one, nan = np.ones(2), np.array([np.nan, 1.0])
    assert np.isnan(peers.apart([one, nan], [one, one])) and np.isnan(peers.apart([nan, one], [one, one]))
    assert peers.apart([one, 3 * one], [one, 2 * one]) == 0.5


@pytest.fixture(scope="module")
def jax():
    """A child of one thread."""
    with jax_child.jax_child(1) as child:
        yield child


@needs_jax
@pytest.mark.parametrize("name", IN_JAX)
def test_jax_computes_what_the_fused_kernel_does(jax, name):
    arrays, calls = calls_of(name)
    jax.load(arrays)
    own = peers.outputs(calls["both"]["fused"])
    for function in IN_JAX[name]:
        assert peers.apart(jax.outputs(function, "both"), own) < 1e-5
        assert 0 < jax.timer(function, "both")(2) < 60


@needs_jax
def test_a_child_that_ends_is_told():
    with jax_child.jax_child(1) as child, pytest.raises(RuntimeError, match=r"process of jax ended at .*no such"):
        child.timer("no such", "forward")(1)


def test_a_peer_that_computes_something_else_is_not_timed(monkeypatch):
    wrong = {"forward": {"fused": lambda: (np.ones(3),), "torch.nn": lambda: (np.full(3, np.nan),)}}
    monkeypatch.setattr(peers, "nonlinear", lambda cell, arrays: wrong)
    monkeypatch.setattr(rows, "interleaved", lambda *_: pytest.fail("timed"))
    with pytest.raises(AssertionError, match="not the same as the fused kernel"):
        rows.nonlinear("elman", TINY, "forward", 7, None)


def test_make_bench_installs_jax_and_the_other_commands_do_not():
    make = (Path(__file__).parents[1] / "Makefile").read_text()
    needs = dict(re.findall(r"^(\S+):([^=\n]*)$", make, re.MULTILINE))
    assert "BENCH_READY" in needs["bench"]
    assert all("BENCH" not in needs[target] for target in ("run", "test", "lint", "check", "$(READY)"))


LOOP = """
.LBB0_1:
    vmovups (%rax), %zmm0
    vbroadcastss    (%rbx), %zmm1
    vfmadd231ps %zmm0, %zmm1, %zmm2
    vfmadd231ps 4(%rbx){1to16}, %zmm0, %zmm3
    vdivps  %zmm3, %zmm2, %zmm3
    vmovups %zmm3, (%rcx,%rax)
    vmovups %zmm3, 64(%rcx,%rax) {%k1}
    addq    $64, %rax
    jne .LBB0_1
    ret
.LBB0_2:
    vaddps  %zmm0, %zmm0, %zmm0
    jne .LBB0_1
"""


def test_instructions_are_counted_in_blocks_that_jump_to_their_start():
    (found,) = instructions.loops(LOOP)
    # two products with a sum; three loads, both stores left out, of which two of one number; one division
    assert instructions.counts(found) == (9, 2, 3, 2, 1)
