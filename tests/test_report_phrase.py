"""The one-sentence answer: only what was judged, and honest about what is undecided."""

from __future__ import annotations

import dataclasses

import pytest
from report_pages import ATTENTION, CLAIMS, ELMAN, GRU, LSTM, page

from seqscale.reporting.model import Page
from seqscale.reporting.phrase import answer, listed
from seqscale.verdicts.base import Reason, Verdict

FORWARD = {"time.linear-forward": CLAIMS["time.linear-forward"]}


def with_verdicts(verdicts: dict[str, Verdict]) -> Page:
    """A page on forward time alone, with these verdicts by layer."""
    found = page(layers=(ELMAN, GRU, LSTM, ATTENTION), claims=FORWARD)
    changed = tuple(
        dataclasses.replace(
            j,
            verdict=verdicts[j.layer],
            reason=Reason.noise if verdicts[j.layer] is Verdict.undecided else None,
            headline="T^1.07 [1.01, 1.13]",
        )
        for j in found.judgements
    )
    return dataclasses.replace(found, judgements=changed)


YES, NO, OPEN = Verdict.supported, Verdict.contradicted, Verdict.undecided
HERE = "On this machine, for T 32..4096 and each layer's default algorithm:"
GREW = f"{HERE} forward time grew in proportion to length for"
NOT = f"{HERE} forward time did not grow in proportion to length for"


@pytest.mark.parametrize(
    ("elman", "gru", "lstm", "attention", "says"),
    [
        (YES, YES, YES, YES, f"{GREW} every layer (elman: T^1.07)."),
        (YES, YES, YES, NO, f"{GREW} every layer (elman: T^1.07) but attention (T^1.07)."),
        (YES, NO, NO, NO, f"{GREW} elman (T^1.07), not for gru, lstm and attention (gru: T^1.07)."),
        (YES, OPEN, YES, NO, f"{GREW} elman and lstm (elman: T^1.07), not for attention (T^1.07) (undecided for gru)."),
        (NO, NO, OPEN, OPEN, f"{NOT} elman and gru (elman: T^1.07) (undecided for lstm and attention)."),
        (OPEN, OPEN, OPEN, OPEN, "Nothing is decided yet. 8 of 8 verdicts are undecided (8 noise)."),
    ],
)
def test_the_answer_follows_the_verdicts(
    elman: Verdict, gru: Verdict, lstm: Verdict, attention: Verdict, says: str
) -> None:
    found = with_verdicts({"elman": elman, "gru": gru, "lstm": lstm, "attention": attention})
    assert answer(found) == says


def test_a_claim_that_is_open_for_all_is_said_to_be_open() -> None:
    found = page(layers=(ELMAN, GRU, LSTM))
    changed = tuple(
        dataclasses.replace(j, verdict=OPEN, reason=Reason.budget) if j.claim == "memory.decode-state" else j
        for j in found.judgements
    )
    text = answer(dataclasses.replace(found, judgements=changed))
    assert text.endswith(
        "whether the state that decoding carries stayed the same at every length is undecided for every layer."
    )


def test_a_claim_on_some_layers_is_not_said_of_every_layer() -> None:
    found = page(layers=(ELMAN, GRU, LSTM, ATTENTION))
    kept = [
        (question, judged)
        for question, judged in zip(found.questions, found.judgements, strict=True)
        if (judged.claim, judged.layer) != ("memory.decode-state", ATTENTION.name)
    ]
    questions, judgements = zip(*kept, strict=True)
    text = answer(dataclasses.replace(found, questions=questions, judgements=judgements))
    assert "forward time grew in proportion to length for every layer (" in text
    assert "stayed the same at every length for every layer asked (" in text


def test_no_claim_asked() -> None:
    found = page(layers=(GRU,))
    assert answer(dataclasses.replace(found, questions=(), judgements=())) == "No claim was asked."


def test_listed() -> None:
    assert [listed("a"), listed("ab"), listed("abc")] == ["a", "a and b", "a, b and c"]
