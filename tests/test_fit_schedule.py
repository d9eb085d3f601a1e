"""Schedules of random graphs obey the bounds, and the bounds are tight."""

import itertools
import random

import pytest
from schedulers import brent, greedy, levels

from seqscale.fit.processors import bounds


def random_graph(seed):
    """Return (work, depth, deps) of up to 60 kernels: from none that waits to one chain."""
    draw = random.Random(seed)
    count, edges = draw.randint(1, 60), draw.choice((0, 0.5, 1, 2, 4))
    graph = []
    for i in range(count):
        most = min(i, int(edges) + (draw.random() < edges % 1))
        depth = draw.choice((0, 1, 1, 2, 3, 7))
        graph.append((draw.randint(0, 50), depth, sorted(draw.sample(range(i), draw.randint(0, most)))))
    return graph


def longest(graph, weight):
    finish = []
    for kernel in graph:
        finish.append(weight(kernel) + max((finish[j] for j in kernel[2]), default=0))
    return max(finish)


@pytest.mark.parametrize("block", range(10))
def test_a_thousand_greedy_schedules_obey_the_bounds(block):
    for seed in range(100 * block, 100 * block + 100):
        graph = random_graph(seed)
        processors = random.Random(seed).choice((1, 2, 3, 4, 8, 64))
        slots = greedy(graph, processors)
        work, span = sum(kernel[0] for kernel in graph), longest(graph, lambda kernel: kernel[0])
        taken = max(slot.finish for slot in slots)
        assert bounds(work, span, processors).low <= taken + 1e-9
        assert taken <= work / processors + (1 - 1 / processors) * span + 1e-9
        for kernel, slot in zip(graph, slots, strict=True):
            assert slot.finish - slot.start == kernel[0]
            assert all(slots[j].finish <= slot.start for j in kernel[2])
        for one, other in itertools.combinations(slots, 2):
            if one.processor == other.processor:
                assert one.finish <= other.start or other.finish <= one.start
        assert {slot.processor for slot in slots} <= set(range(processors))


def test_the_lower_bound_is_reached():
    assert max(s.finish for s in greedy([(3, 1, [])] * 8, 4)) == 6  # W / P
    chain = [(2, 1, [i - 1] if i else []) for i in range(5)]
    assert max(s.finish for s in greedy(chain, 4)) == 10  # S


@pytest.mark.parametrize("processors", [2, 3, 7])
def test_the_upper_bound_is_reached(processors):
    """Graham's example: small kernels first keep every processor busy, then the longest one runs alone."""
    graph = [(1, 1, [])] * (processors * (processors - 1)) + [(processors, 1, [])]
    taken = max(s.finish for s in greedy(graph, processors))
    assert taken == sum(w for w, _, _ in graph) / processors + (1 - 1 / processors) * processors


@pytest.mark.parametrize("block", range(10))
def test_levels_add_up_to_the_work_and_are_as_many_as_the_ideal_span(block):
    for seed in range(100 * block, 100 * block + 100):
        graph = random_graph(seed)
        work, span = sum(kernel[0] for kernel in graph), longest(graph, lambda kernel: kernel[1])
        if span == 0:
            continue
        found = levels(graph)
        assert len(found) == span
        assert sum(found) == pytest.approx(work)
        for processors in (1, 2, 16, 10**6):
            allowed = bounds(work, span, processors)
            assert allowed.low - 1e-6 <= brent(found, processors) <= allowed.high + 1e-6


def test_levels_of_a_small_graph():
    graph = [(6, 2, []), (5, 1, []), (4, 0, [1]), (9, 3, [0, 2])]
    assert levels(graph) == (12.0, 3.0, 3.0, 3.0, 3.0)
    assert brent(levels(graph), 1) == 24
    assert brent(levels(graph), 3) == 8
    assert brent(levels(graph), 100) == 5


def test_a_step_that_moves_data_takes_its_step():
    assert brent(levels([(8, 1, []), (0, 1, [0]), (8, 1, [1])]), 4) == 5


def test_thirds_are_no_step_more():
    assert brent(levels([(1, 3, [])] * 3), 1) == 3


def test_an_empty_graph_takes_no_time():
    assert greedy([], 4) == ()
    assert levels([]) == ()


@pytest.mark.parametrize("deps", [[0], [1], [-1]])
def test_a_kernel_waits_for_earlier_ones_only(deps):
    for schedule in (lambda g: greedy(g, 2), levels):
        with pytest.raises(ValueError, match="kernel 0 waits for"):
            schedule([(1, 1, deps), (1, 1, [])])


def test_mistakes_are_named():
    for schedule in (lambda: greedy([], 0), lambda: brent([], 0)):
        with pytest.raises(ValueError, match="at least one"):
            schedule()
    with pytest.raises(ValueError, match="depth 0"):
        levels([(1, 0, [])])
