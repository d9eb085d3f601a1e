"""For any constants, the sections equal a slow transcription of the program in plain Python."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqscale.kata import network, sections
from seqscale.kata.constants import KataConstants

# Scales are kept where a dozen steps cannot blow up rounding; the tolerance is far below any real difference.
TOLERANCE = 1e-9
SCALES = st.sampled_from([-0.4, -0.05, 0.0, 0.01, 0.2, 0.3, 0.5])


def slow_matrix(rows, cols, scale, seed):
    return [[math.sin((i * cols + j + seed * 100) * 1.618) * scale for j in range(cols)] for i in range(rows)]


def slow_step(h, x, w_h, w_x):
    new = []
    for i in range(len(h)):
        total = 0.0
        for j in range(len(h)):
            total += w_h[i][j] * h[j]
        for j in range(len(x)):
            total += w_x[i][j] * x[j]
        new.append(math.tanh(total))
    return new


def slow_cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b, strict=False))
    na, nb = math.sqrt(sum(x * x for x in a)), math.sqrt(sum(x * x for x in b))
    return dot / (na * nb) if na > 1e-10 and nb > 1e-10 else 0.0


def slow_token(t, size):
    v = [0.0] * size
    v[t % size] = 1.0
    v[(t + 1) % size] = 0.5
    norm = math.sqrt(sum(x * x for x in v))
    return [x / norm for x in v]


def slow_read(c, inputs):
    w_h = slow_matrix(c.hidden_size, c.hidden_size, c.scale_h, c.seed_h)
    w_x = slow_matrix(c.hidden_size, c.input_size, c.scale_x, c.seed_x)
    h = [0.0] * c.hidden_size
    for x in inputs:
        h = slow_step(h, x, w_h, w_x)
    return h


def rising(low, high):
    return st.lists(st.integers(low, high), min_size=1, max_size=4, unique=True).map(lambda v: tuple(sorted(v)))


@st.composite
def constants(draw):
    token_count = draw(st.integers(1, 12))
    retrieval_length = draw(st.integers(1, 12))
    return KataConstants(
        input_size=draw(st.integers(1, 12)),
        hidden_size=draw(st.integers(1, 12)),
        seed_h=draw(st.integers(0, 1000)),
        seed_x=draw(st.integers(0, 1000)),
        scale_h=draw(SCALES),
        scale_x=draw(SCALES),
        lengths=draw(rising(1, 12)),
        token_count=token_count,
        encoded=draw(rising(1, token_count)),
        retrieval_length=retrieval_length,
        positions=draw(rising(0, retrieval_length - 1)),
        parallel_lengths=draw(rising(1, 5000)),
        cores=draw(st.integers(1, 5000)),
        memory_lengths=draw(rising(1, 9000)),
        memory_hidden=draw(rising(1, 2000)),
    )


SETTINGS = settings(deadline=None, max_examples=60)


@given(st.integers(1, 9), st.integers(1, 9), SCALES, st.integers(0, 1_000_000))
@SETTINGS
def test_matrix(rows, cols, scale, seed):
    assert network.init_matrix(rows, cols, scale, seed) == pytest.approx(np.array(slow_matrix(rows, cols, scale, seed)))


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=9), st.lists(st.floats(-3, 3), min_size=1, max_size=9))
@SETTINGS
def test_cosine_over_the_shared_components_and_the_whole_norms(a, b):
    expected = slow_cosine(a, b)
    assert network.cosine(np.array(a), np.array(b)) == pytest.approx(expected, abs=TOLERANCE)


def test_cosine_of_nothing_is_zero():
    assert network.cosine(np.zeros(3), np.ones(3)) == 0.0
    assert network.cosine(np.ones(3), np.full(3, 1e-11)) == 0.0
    assert network.cosine(np.full(3, 1e-11), np.ones(3)) == 0.0
    assert network.cosine(np.full(3, 1e-9), np.full(3, 1e-9)) == pytest.approx(1.0)


@given(constants())
@SETTINGS
def test_forward(c):
    for row in sections.forward(c, network.build(c)):
        inputs = [
            [math.sin((t * c.input_size + i) * 0.7) * 0.5 for i in range(c.input_size)] for t in range(row.length)
        ]
        assert row.final_hidden == pytest.approx(slow_read(c, inputs), abs=TOLERANCE)


@given(constants())
@SETTINGS
def test_bottleneck(c):
    for row in sections.bottleneck(c, network.build(c)):
        tokens = [slow_token(t, c.input_size) for t in range(row.encoded)]
        h = slow_read(c, tokens)
        expected = [slow_cosine(h, token) for token in tokens]
        assert row.first_similarity == pytest.approx(expected[0], abs=TOLERANCE)
        assert row.best_similarity == pytest.approx(max(expected), abs=TOLERANCE)
        assert expected[row.most_similar] == pytest.approx(max(expected), abs=TOLERANCE)
        assert row.distinct == len({tuple(token) for token in tokens})
        assert 1 <= row.last_rank <= row.distinct
        assert tokens.index(tokens[row.most_similar]) == row.most_similar  # of equal tokens, the lowest index


@given(constants())
@SETTINGS
def test_retrieval(c):
    tokens = [slow_token(t, c.input_size) for t in range(c.token_count)]
    h = slow_read(c, [tokens[t % c.token_count] for t in range(c.retrieval_length)])
    rows = sections.retrieval(c, network.build(c))
    assert [row.position for row in rows] == list(range(c.retrieval_length))
    for row in rows:
        assert row.distance == c.retrieval_length - 1 - row.position
        expected = slow_cosine(h, tokens[row.position % c.token_count])
        assert row.similarity == pytest.approx(expected, abs=TOLERANCE)


@given(constants())
@SETTINGS
def test_counts_are_exact(c):
    for row in sections.parallel(c):
        assert (row.rnn_steps, row.attention_steps) == (row.length, row.length * row.length // c.cores + 1)
        assert row.factor == row.rnn_steps / row.attention_steps
        assert row.busy_cores <= c.cores
    cells = [(row.length, row.hidden, row.layer_bytes) for row in sections.memory(c)]
    assert cells == [(n, h, 4 * n * h) for n in c.memory_lengths for h in c.memory_hidden]
    assert sections.distinct_tokens(c) == len({tuple(slow_token(t, c.input_size)) for t in range(c.token_count)})


def test_of_equal_similarities_the_lowest_index_is_the_most_similar():
    silent = KataConstants(scale_x=0.0)  # the state stays zero, so every similarity is 0
    assert [row.most_similar for row in sections.bottleneck(silent, network.build(silent))] == [0] * 5


def test_the_programs_recurrent_matrix_has_two_directions():
    shape = network.spectrum(network.build(KataConstants()))
    assert (shape.rank, shape.size) == (2, 16)
    assert shape.radius == pytest.approx(0.1455, abs=5e-5)


def test_a_matrix_of_zeros_has_rank_zero():
    assert network.spectrum(network.build(KataConstants(scale_h=0.0))).rank == 0
