import math

import pytest

from benchmarks import jax_child, peers
from benchmarks.rounds import Rounds
from benchmarks.targets import DIAGONAL, SHAPES, Row, judge

TINY = (2, 3, 5, 7)
needs_jax = pytest.mark.skipif(not jax_child.available(), reason=jax_child.MISSING)


def row(name="elman", shape=SHAPES[0], mode="forward", **ratios):
    found = {peer.replace("_", "."): (value, value, value) for peer, value in ratios.items()}
    return Row(name=name, shape=shape, mode=mode, rounds=6, seconds=1.0, ratios=found, shares={})


def test_the_ratio_of_known_rounds_is_their_median_inside_its_interval():
    under = (1.0, 2.0, 1.5, 3.0, 1.2, 1.1, 1.3)
    factors = (2.0, 2.1, 1.9, 2.2, 1.8, 2.05, 1.95)
    found = Rounds({"peer": tuple(f * u for f, u in zip(factors, under, strict=True)), "fused": under})
    value, low, high = found.ratio("peer", "fused")
    assert math.isclose(value, 2.0)
    assert low <= 1.9 and 2.1 <= high < 2.5


@pytest.mark.parametrize("mode", ["forward", "both"])
def test_every_row_has_a_target(mode):
    for name in peers.CELLS:
        for shape in SHAPES:
            assert judge(row(name, shape, mode)), (name, shape)
    assert len(judge(row("diagonal", DIAGONAL, mode))) == 4


def test_a_target_is_met_missed_or_not_measured():
    def said(**ratios):
        return {j.target.against: j.met for j in judge(row(**ratios))}

    assert said(torch_nn=21.0, lax_scan=1.9) == {"torch.nn": True, "lax.scan": False}
    assert said(torch_nn=19.0) == {"torch.nn": False, "lax.scan": None}


def arrays_and_calls(name):
    if name == "diagonal":
        arrays = peers.diagonal_arrays((2, 7, 5))
        return arrays, peers.diagonal(arrays)
    arrays = peers.nonlinear_arrays(name, TINY)
    return arrays, peers.nonlinear(name, arrays)


@pytest.mark.parametrize("name", [*peers.CELLS, "diagonal"])
def test_peers_of_this_process_agree(name):
    for calls in arrays_and_calls(name)[1].values():
        own = peers.outputs(calls["fused"])
        for call in calls.values():
            assert peers.apart(peers.outputs(call), own) < 1e-4


@needs_jax
def test_jax_agrees():
    arrays, calls = arrays_and_calls("gru")
    with jax_child.jax_child(1) as jax:
        jax.load(arrays)
        assert peers.apart(jax.outputs("gru", "both"), peers.outputs(calls["both"]["fused"])) < 1e-4
