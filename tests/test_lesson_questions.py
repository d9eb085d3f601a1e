"""Predictions: what may be written is read, all else is refused with what is allowed, and asked for again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqscale.errors import UsageError
from seqscale.lessons.ask import Left, ask
from seqscale.lessons.question import ChoiceAnswer, ChoiceQuestion, NumberAnswer, NumberQuestion

HOW_MANY = NumberQuestion(text="How many?", unit="times", low=0.5, high=20)
WHICH = ChoiceQuestion(text="Which?", choices=(("a", "the first"), ("b", "the last"), ("c", "neither")))
QUESTIONS = pytest.mark.parametrize("question", [HOW_MANY, WHICH], ids=["number", "choice"])


@given(st.floats(0.5, 20))
def test_a_number_in_range_is_read(value):
    found = HOW_MANY.read(f" {value!r} ")
    assert (found.value, found.unit) == (value, "times")


@pytest.mark.parametrize("written", ["a", "A", " a) ", "The First", "the first "])
def test_a_choice_is_read_by_letter_or_by_words(written):
    assert WHICH.read(written).value == "a"


@QUESTIONS
@pytest.mark.parametrize(
    "written", ["", " ", "banana", "nan", "inf", "-1", "21", "1e999", "d", "ab", "\x1b[A", "\0", "é" * 500]
)
def test_nonsense_is_refused_with_what_is_allowed(question, written):
    with pytest.raises(UsageError) as caught:
        question.read(written)
    text = str(caught.value)
    assert text.endswith(f"write {question.allowed}.")
    assert text.isprintable() and len(text) < 100


@QUESTIONS
@given(written=st.text())
def test_any_text_is_read_or_refused_and_never_anything_else(question, written):
    try:
        found = question.read(written)
    except UsageError:
        return
    assert found.question == question.text


def conversation(question, *lines):
    """Return the prediction, the prompts, and what was said; the end of `lines` is the end of the input."""
    said, prompts, left = [], [], list(lines)

    def read(prompt):
        prompts.append(prompt)
        if not left:
            raise EOFError
        return left.pop(0)

    return ask(question, read, said.append), prompts, said


def test_it_asks_again_until_the_answer_is_allowed():
    found, prompts, said = conversation(WHICH, "x", "", "b")
    assert found.value == "b"
    assert prompts == ["Your prediction (a, b or c): "] * 3
    assert said == [
        "Which?",
        "a) the first",
        "b) the last",
        "c) neither",
        "prediction 'x': write a, b or c.",
        "prediction '': write a, b or c.",
    ]


def test_the_end_of_the_input_leaves():
    with pytest.raises(Left):
        conversation(HOW_MANY, "many")


def test_bytes_that_are_no_text_are_asked_for_again():
    answers = iter([UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), "2"])

    def read(prompt):
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    assert ask(HOW_MANY, read, lambda line: None).value == 2.0


@given(st.floats(0.5, 20), st.floats(0.5, 20), st.floats(0.5, 20))
def test_a_number_is_right_exactly_inside_the_answer(value, a, b):
    answer = NumberAnswer(text="", low=min(a, b), high=max(a, b))
    assert answer.right(HOW_MANY.read(repr(value))) == (min(a, b) <= value <= max(a, b))


@pytest.mark.parametrize(("letter", "right"), [("a", True), ("b", False), (None, None)])
def test_a_choice_is_right_wrong_or_left_open(letter, right):
    answer = ChoiceAnswer(text="what was measured", letter=letter)
    assert answer.record(WHICH.read("a")) == {"right": right, "measured": "what was measured"}
