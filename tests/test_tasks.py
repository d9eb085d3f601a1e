"""Every task: right answers by a slow solver, what they demand by counting, and what is had without reading."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from seqscale.tasks.adding import Adding
from seqscale.tasks.copying import Copy
from seqscale.tasks.delay import DelayLine
from seqscale.tasks.rebinding import Rebinding
from seqscale.tasks.recall import AssociativeRecall
from seqscale.tasks.seeds import TEST, TRAIN, VALIDATION, WEIGHTS, stream
from seqscale.tasks.tokens import TokenStream

FEW = st.integers(1, 6)
SYMBOLS = st.integers(2, 6)


@st.composite
def delay_lines(draw):
    tokens = draw(st.integers(1, 12))
    return DelayLine(tokens=tokens, lag=draw(st.integers(0, tokens - 1)))


@st.composite
def recalls(draw):
    keys, values, fresh, apart = draw(st.integers(1, 7)), draw(SYMBOLS), draw(st.booleans()), draw(st.booleans())
    pairs = draw(st.integers(1, min(keys, values) if fresh else keys))
    tokens = pairs * (3 if apart else 2) + draw(st.integers(0, 6))
    power, fillers = draw(st.sampled_from([0.01, 0.5, 1.0])), draw(st.integers(0, 3))
    return AssociativeRecall(
        pairs=pairs, keys=keys, values=values, tokens=tokens, apart=apart, fresh=fresh, power=power, fillers=fillers
    )


OF_EACH_KIND = {
    TokenStream: st.builds(TokenStream, tokens=FEW, symbols=SYMBOLS),
    DelayLine: delay_lines(),
    AssociativeRecall: recalls(),
    Rebinding: st.builds(Rebinding, keys=FEW, values=SYMBOLS, writes=FEW),
    Copy: st.builds(Copy, memorised=FEW, symbols=SYMBOLS, delay=FEW),
    Adding: st.builds(Adding, tokens=st.integers(2, 12)),
}
ANY = st.one_of(*OF_EACH_KIND.values())
SEEDS = st.integers(0, 999)


def solved(task, inputs):
    """Read one sequence token by token; return (position, answer, distance) of everything that is asked."""
    kind = type(task)
    if kind is TokenStream:
        last = len(inputs) - 1
        return [(last, int(token.argmax()), last - t) for t, token in enumerate(inputs)]
    if kind is DelayLine:
        return [(t, float(inputs[t - task.lag, 0]), task.lag) for t in range(task.lag, len(inputs))]
    if kind is Adding:
        marked = [t for t, (_, mark) in enumerate(inputs) if mark == 1]
        assert len(marked) == 2 and marked[0] < len(inputs) // 2 <= marked[1]
        last = len(inputs) - 1
        return [(last, float(inputs[marked[0], 0] + inputs[marked[1], 0]), last - marked[0])]
    return repeated(task, inputs) if kind is Copy else looked_up(task, inputs)


def repeated(task, inputs):
    """Solve copying: symbols are kept with their places, and handed out in order after the delimiter."""
    kept, found, waiting = [], [], True
    for t, token in enumerate(inputs):
        (symbol,) = np.flatnonzero(token)
        if symbol == task.symbols + 1:
            waiting = False
        elif symbol < task.symbols:
            assert waiting
            kept.append((int(symbol), t))
        elif not waiting:
            answer, read = kept.pop(0)
            found.append((t, answer, t - read))
    assert not kept
    return found


def looked_up(task, inputs):
    """Solve recall with a dictionary; the value of a key may be in the token after it."""
    memory, pending, found = {}, None, []
    for t, token in enumerate(inputs):
        features = np.flatnonzero(token)
        keys = [int(f) for f in features if f < task.keys]
        values = [int(f) - task.keys for f in features if 0 <= f - task.keys < task.values]
        if task.keys + task.values in features:
            assert len(features) == 2
            value, read = memory[keys[0]]
            found.append((t, value, t - read))
            continue
        if keys:
            (pending,) = keys
        if values:
            memory[pending] = (*values, t)
            pending = None
    return found


@settings(max_examples=150, deadline=None)
@given(task=ANY, sequences=st.integers(1, 4), seed=SEEDS)
def test_answers_and_distances_are_those_of_a_solver_that_reads_token_by_token(task, sequences, seed):
    drawn = task.draw(sequences, np.random.default_rng(seed))
    assert drawn.inputs.shape == (sequences, task.length, task.features) and drawn.inputs.dtype == np.float32
    assert drawn.positions.shape == drawn.answers.shape == drawn.distances.shape
    for inputs, *asked in zip(drawn.inputs, drawn.positions, drawn.answers, drawn.distances, strict=True):
        rows = zip(*(row.tolist() for row in asked), strict=True)
        found = solved(task, inputs)
        for (*place, answer), (*wanted, right) in zip(
            sorted((p, d, a) for p, a, d in rows), sorted((p, d, a) for p, a, d in found), strict=True
        ):
            assert place == wanted and answer == pytest.approx(right, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(task=ANY, seed=SEEDS)
def test_the_same_generator_gives_the_same_and_its_next_draw_something_else(task, seed):
    one, again = (task.draw(50, np.random.default_rng(seed)) for _ in range(2))
    rng = np.random.default_rng(seed)
    task.draw(50, rng)
    later = task.draw(50, rng)
    for name in ("inputs", "positions", "answers", "distances"):
        np.testing.assert_array_equal(getattr(one, name), getattr(again, name))
    assert not np.array_equal(one.inputs, later.inputs)


SMALL = [
    TokenStream(tokens=3, symbols=3),
    Copy(memorised=2, symbols=5, delay=3),
    AssociativeRecall(pairs=3, keys=4, values=3, tokens=7),
    AssociativeRecall(pairs=3, keys=3, values=4, tokens=9, apart=True, fresh=True, power=0.01, fillers=2),
    Rebinding(keys=3, values=3, writes=2),
]
DRAWS = 4000


@pytest.mark.parametrize("task", SMALL, ids=lambda task: type(task).__name__)
def test_demand_is_the_logarithm_of_how_many_sets_of_answers_there_are_all_equally_likely(task):
    drawn = task.draw(DRAWS, np.random.default_rng(0))
    answers = drawn.answers
    if isinstance(task, Rebinding):  # in the order of keys, not of queries
        asked = drawn.inputs[:, -task.keys :, : task.keys].argmax(axis=2)
        answers = np.take_along_axis(answers, asked.argsort(axis=1), axis=1)
    counts = Counter(map(tuple, answers.tolist()))
    assert len(counts) == round(2**task.demand_bits)
    assert task.demand_bits == pytest.approx(math.log2(len(counts)))
    assert stats.chisquare(list(counts.values())).pvalue > 1e-4


@pytest.mark.parametrize("task", SMALL, ids=lambda task: type(task).__name__)
def test_chance_and_the_blind_loss_are_those_of_the_best_guess_without_reading(task):
    answers = task.draw(DRAWS, np.random.default_rng(1)).answers.ravel()
    shares = np.bincount(answers, minlength=task.outputs) / answers.size
    assert len(shares) == task.outputs
    assert shares.max() == pytest.approx(task.chance, abs=5 * (task.chance / answers.size) ** 0.5)
    assert -np.log(shares) @ shares == pytest.approx(task.blind_loss, abs=1e-3)


@pytest.mark.parametrize("task", [DelayLine(tokens=9, lag=4), Adding(tokens=2), Adding(tokens=9)], ids=repr)
def test_of_numbers_the_blind_loss_is_the_variance_and_no_bits_suffice(task):
    answers = task.draw(DRAWS, np.random.default_rng(2)).answers.astype(float).ravel()
    squares = np.square(answers - answers.mean())
    assert abs(squares.mean() - task.blind_loss) < 4 * squares.std() / answers.size**0.5
    assert (task.outputs, task.chance, task.demand_bits) == (1, 0.0, math.inf)


def test_the_marks_of_adding_are_anywhere_in_their_halves():
    for tokens in (4, 7):
        marks = Adding(tokens=tokens).draw(DRAWS, np.random.default_rng(3)).inputs[:, :, 1].sum(axis=0)
        for half in (marks[: tokens // 2], marks[tokens // 2 :]):
            assert half.sum() == DRAWS and stats.chisquare(half).pvalue > 1e-4


ARGUMENTS = st.tuples(st.integers(0, 9), st.integers(0, 9), st.sampled_from((WEIGHTS, TRAIN, VALIDATION, TEST)), SEEDS)


@settings(max_examples=150, deadline=None)
@given(one=ARGUMENTS, other=ARGUMENTS)
def test_streams_are_the_same_only_for_the_same_arguments(one, other):
    same = np.array_equal(stream(*one).integers(2**62, size=2), stream(*other).integers(2**62, size=2))
    assert same == (one == other)


def test_no_two_uses_of_a_small_experiment_share_a_stream():
    starts = [tuple(stream(*given).integers(2**62, size=2)) for given in itertools.product(range(4), repeat=4)]
    assert len(set(starts)) == len(starts)


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (lambda: TokenStream(tokens=0, symbols=2), "tokens=0"),
        (lambda: DelayLine(tokens=4, lag=4), "lag=4"),
        (lambda: Copy(memorised=1, symbols=2, delay=0), "delay=0"),
        (lambda: Adding(tokens=1), "tokens=1"),
        (lambda: Rebinding(keys=1, values=1, writes=1), "values=1"),
        (lambda: AssociativeRecall(pairs=3, keys=2, values=4, tokens=9), "pairs=3"),
        (lambda: AssociativeRecall(pairs=3, keys=4, values=2, tokens=9, fresh=True), "pairs=3"),
        (lambda: AssociativeRecall(pairs=3, keys=4, values=4, tokens=8, apart=True), "tokens=8"),
        (lambda: AssociativeRecall(pairs=1, keys=1, values=2, tokens=2, power=0.0), "power=0"),
    ],
)
def test_sizes_that_cannot_be_are_refused(make, cause):
    with pytest.raises(ValueError, match=f"^{cause}: must be "):
        make()
