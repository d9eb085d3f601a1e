"""What a lesson concludes follows from its numbers, and turns round when they do; nothing follows from a gap."""

from __future__ import annotations

import dataclasses
import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lesson_rows import (
    ELMAN,
    GONE,
    LAST,
    OWN,
    decoded,
    encoding_of,
    law,
    recalled,
    retrieval_of,
    timed,
    timing_of,
    waiting_of,
)

from seqscale.fit.processors import Model
from seqscale.kata.constants import KataConstants
from seqscale.kata.sections import ForwardRow
from seqscale.lessons import encoding, retrieval, timing, waiting
from seqscale.lessons.base import Number
from seqscale.rows import Row


def gone(rows):
    return [Row(row.cell, GONE) for row in rows]


def numbers(finding, source="instrument"):
    return {number.name: number for number in finding.numbers(source)}


# -- 1: time ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("power", "words"),
    [
        (1.0, "proportional to the length, and a token costs no more in a longer sequence"),
        (1.7, "more than proportional, so a token costs more in a longer sequence"),
        (0.4, "less than proportional, so at these lengths longer sequences share a cost"),
        (1.1, "too uncertain to tell"),
    ],
)
def test_the_growth_of_time_is_read_from_its_slope(power, words):
    found = timing_of(power, spread=0.03 if power == 1.1 else 0.001)
    assert words in found.sentence
    grown = numbers(found)["library, time for twice the tokens"]
    assert grown.low < grown.value < grown.high
    assert grown.value == pytest.approx(2**power, rel=0.05)
    assert found.sentence.startswith(f"Twice the tokens take {grown.text()} as long")


@pytest.mark.parametrize(
    ("loop", "words"), [(5.0, "takes 5.00 ["), (0.5, "takes 0.500 ["), (1.0, "takes about as long")]
)
def test_the_loop_is_compared_whichever_is_faster(loop, words):
    assert f"; a Python loop over the same steps {words}" in timing_of(1.0, loop).sentence or (
        loop == 1.0 and f"; a Python loop {words}" in timing_of(1.0, loop).sentence
    )


@given(st.floats(0.2, 2.5), st.floats(0.2, 8))
@settings(deadline=None, max_examples=20)
def test_a_prediction_of_time_is_right_near_what_was_measured(power, predicted):
    found = timing_of(power)
    right = found.answer.right(timing.Timing().question(OWN).read(repr(predicted)))
    distance = abs(math.log(predicted / 2**power))
    assert right or distance > 0.08
    assert not right or distance < 0.15


def test_nothing_follows_about_time_where_nothing_was_timed():
    kata = [ForwardRow(length=n, seconds=2e-6 * n, fused_seconds=None, final_hidden=(0.0,)) for n in OWN.kata.lengths]
    rows = {"library": gone(timed(OWN, ELMAN, "library", lambda n: n))}
    found = timing.conclude("elman", kata, rows, 9)
    assert "nothing follows" in found.sentence
    assert len(found.gaps) == len(kata) and "not finite after 3 tokens" in found.gaps[0]
    assert found.answer.right(timing.Timing().question(OWN).read("2")) is None


# -- 2: encoding -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "words", "agrees"),
    [
        (0.0, "3.00 fewer than after 2, so the first token fades", ", which says the opposite."),
        (2.95, "about as many as after 2, so the first token does not fade", ", which says the same."),
        (2.8, "which leaves open whether the first token fades", "."),
    ],
)
def test_whether_the_first_token_fades_is_read_from_its_bits(end, words, agrees):
    found = encoding_of(end)
    assert found.sentence.endswith(f"{words}; the kata's cosine rises from -0.3615 to +0.3228{agrees}")
    assert f"the state of elman tells {end:.2f} [" in found.sentence and "(attention 3.00)" in found.sentence
    assert numbers(found)["elman, bits of the first token after 20"].value == pytest.approx(end, abs=0.01)
    assert numbers(found, "kata")["kata, similarity to the first token after 20"].value == pytest.approx(
        0.3228, abs=1e-4
    )


def test_a_cosine_that_falls_says_the_same_as_bits_that_fade():
    other = dataclasses.replace(OWN, kata=dataclasses.replace(OWN.kata, seed_x=0))
    row = decoded(other, ELMAN, 20, first=lambda t: 3.0 if t <= 2 else 0.0, by_distance=lambda d: 1.0)
    said = encoding.conclude(other, [ELMAN], [row]).sentence
    falls = " falls from " in said
    assert falls == ("says the same" in said) and ("rises from" in said) != falls


def test_nothing_follows_from_a_state_that_could_not_be_read_or_an_instrument_that_failed():
    length = OWN.kata.encoded[-1]
    row = decoded(OWN, ELMAN, length, first=lambda t: 3.0, by_distance=lambda d: 1.0)
    failed = encoding.conclude(OWN, [ELMAN], [Row(row.cell, GONE)])
    assert "could not be read, so nothing follows" in failed.sentence and "not finite" in failed.gaps[0]
    leaking = encoding_of(0.0, shuffled=0.5)
    assert "could not be read, so nothing follows" in leaking.sentence and "control" in leaking.gaps[0]
    question = encoding.Encoding().question(OWN)
    assert failed.answer.right(question.read("1")) is leaking.answer.right(question.read("1")) is None
    assert encoding_of(1.0).answer.right(question.read("1.25")) is True
    assert encoding_of(1.0).answer.right(question.read("1.5")) is False


# -- 3: retrieval ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("newest", "oldest", "words", "letter"),
    [
        (3.0, 0.0, "so recent tokens can be read better", "a"),
        (0.0, 3.0, "so old tokens can be read better", "b"),
        (2.0, 2.0, "so age makes no difference", "c"),
        (2.2, 2.0, "which leaves open whether age makes a difference", None),
    ],
)
def test_which_token_is_read_best_is_read_from_the_bits(newest, oldest, words, letter):
    found = retrieval_of(newest, oldest)
    assert words in found.sentence
    assert f"tells {newest:.2f} [" in found.sentence and f"and {oldest:.2f} [" in found.sentence
    assert "by the kata's cosine the newest is in place 14 of 15" in found.sentence
    question = retrieval.Retrieval().question(OWN)
    for option in ("a", "b", "c"):
        assert found.answer.right(question.read(option)) is (None if letter is None else option == letter)


@pytest.mark.parametrize(
    ("early", "words"),
    [
        (((1.0, 0.99, 1.0), (0.3, 0.31, 0.29)), "1.00 and 0.30 for elman (worse)"),
        (((1.0,) * 3, (1.0,) * 3), "1.00 and 1.00 for elman (no worse)"),
        (((0.95, 0.9, 1.0), (0.3, 0.9, 0.6)), "0.95 and 0.60 for elman (left open whether worse)"),
        (((0.26, 0.27, 0.26), (0.06, 0.06, 0.07)), "0.26 and 0.06 for elman (not learned in 400 steps)"),
    ],
)
def test_whether_retrieval_degrades_is_read_from_the_answers(early, words):
    found = retrieval_of(3.0, 0.0, early)
    said = "; trained to answer about the oldest of 2 pairs, the share right in 4 and in 16 tokens is"
    assert found.sentence.endswith(f"{said} {words}.")
    shares = [number for number in numbers(found).values() if number.unit == "share" and number.low is not None]
    assert len(shares) == 3
    assert all(0 <= number.low <= number.value <= number.high <= 1 for number in shares)


def test_trained_networks_that_are_missing_are_a_gap_and_no_conclusion():
    row = decoded(OWN, ELMAN, LAST, first=lambda t: 1.0, by_distance=lambda d: 3.0)
    found = retrieval.conclude(OWN, [ELMAN], [row], [recalled(OWN, ELMAN, ((1.0,) * 3, None))])
    assert found.sentence.endswith(" in 4 and in 16 tokens is 1.00 and - for elman (not compared).")
    assert len(found.gaps) == 1 and "not finite" in found.gaps[0]
    none = retrieval.conclude(OWN, [ELMAN], [row], [recalled(OWN, ELMAN, (None, None))])
    assert "trained" not in none.sentence and len(none.tables) == 1 and len(none.gaps) == 2


# -- 4: serial against parallel --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("span", "work", "cores", "words", "letter"),
    [
        (10, 30, 1024, "attention is surely first from 3 to ", "a"),
        (10, 30, 10**9, "attention is surely first from 2 to 1,048,576 tokens", "b"),
        (10**4, 1, 1024, "attention is surely first at every length up to 1,048,576 tokens", "b"),
        (10, 10, 1024, "attention is surely first", "a"),
    ],
)
def test_who_is_first_is_read_from_the_laws(span, work, cores, words, letter):
    found = waiting_of(span, work, cores)
    question = waiting.Waiting().question(OWN)
    assert f"On {cores:,} cores " in found.sentence
    assert f"attention is last from {cores:,} tokens on" in found.sentence
    for option in ("a", "b", "c"):
        assert found.answer.right(question.read(option)) is (option == letter), found.sentence


def test_nothing_is_called_open_where_every_length_is_decided():
    models = [
        Model(label="elman", work=law(lambda t: 100 * t), span=law(lambda t: 1)),
        Model(label="attention", work=law(lambda t: 9 * t * t), span=law(lambda t: 1)),
    ]
    one, many = (waiting.conclude(KataConstants(cores=cores), models).sentence for cores in (1, 1024))
    assert "attention is surely first up to 11 tokens, and elman is surely first from 12 tokens on; the" in one
    assert ", and elsewhere the counts leave it open; the" in many


def test_one_core_and_one_token_are_written_in_the_singular():
    kata = KataConstants(cores=1, parallel_lengths=(1, 64))
    models = [Model(label=name, work=law(lambda t: 9 * t), span=law(lambda t: t)) for name in ("elman", "attention")]
    found = waiting.conclude(kata, models)
    asked_for = waiting.Waiting().question(dataclasses.replace(OWN, kata=KataConstants(cores=1, parallel_lengths=(1,))))
    titles = [*(table.title for table in found.tables), *(chart.title for chart in found.charts)]
    columns = [name for table in found.tables for name in table.columns]
    names = [*numbers(found), *numbers(found, "kata")]
    everything = " ".join((found.sentence, found.how, asked_for.text, *titles, *columns, *names))
    assert found.sentence.startswith("On 1 core ") and "from 1 token on." in found.sentence
    assert asked_for.text.startswith("1 core, 1 token: ") and {"1 token", "64 tokens"} <= set(columns)
    assert not re.search(r"\b1 (cores|tokens)\b", everything)


@pytest.mark.parametrize("width", [8, 12])
def test_the_lesson_names_the_width_that_decides(width):
    found = waiting.conclude(
        KataConstants(input_size=width), [Model(label=n, work=law(int), span=law(int)) for n in "ab"]
    )
    assert f"The width decides who is first where: here it is {width} (--input-size)," in found.how


def test_bounds_that_overlap_leave_it_open():
    same = Model(label="elman", work=law(lambda t: 100 * t), span=law(lambda t: t))
    found = waiting.conclude(KataConstants(), [same, dataclasses.replace(same, label="attention")])
    assert "leave open which one is first, at every length up to 1,048,576 tokens" in found.sentence
    assert found.answer.letter == "c"


@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 5000))
@settings(deadline=None, max_examples=30)
def test_bounds_and_busy_cores_agree_with_work_and_span(span, work, cores):
    found = numbers(waiting_of(span, work, cores))
    for label, w, s in (("elman", 100 * 64, span * 64), ("attention", work * 64 * 64, 7)):
        steps, busy = found[f"steps of {label}, 64 tokens"], found[f"cores that {label} keeps busy, 64 tokens"]
        assert (steps.low, steps.high) == (max(w / cores, s), w / cores + s)
        assert 0 < busy.low <= busy.high <= cores * (1 + 1e-9)
        assert busy.high == pytest.approx(min(cores, w / max(w / cores, s)))


# -- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "text", "short"),
    [
        (Number(name="", unit="s", value=2.01e-5, low=1.99e-5, high=2.04e-5), "20.1 [19.9, 20.4] us", "20.1 us"),
        (Number(name="", unit="s", value=0.0), "0.00 ns", "0.00 ns"),
        (Number(name="", unit="bit", value=-0.001, low=-0.004, high=2.5), "0.00 [0.00, 2.50] bit", "0.00"),
        (Number(name="", unit="cosine", value=0.3228), "+0.3228", "+0.3228"),
        (Number(name="", unit="times", value=2.0, low=1.94, high=2.05), "2.00 [1.94, 2.05] times", "2.00"),
        (Number(name="", unit="steps", value=None, low=4096, high=5000), "4,096 to 5,000 steps", "4,096 to 5,000"),
        (Number(name="", unit="cores", value=None, low=1024, high=1024), "1,024 cores", "1,024"),
        (Number(name="", unit="share", value=1.0, low=0.99, high=1.0), "1.00 [0.99, 1.00]", "1.00"),
    ],
)
def test_numbers_are_written_with_interval_and_unit(number, text, short):
    assert (number.text(), number.short()) == (text, short)
