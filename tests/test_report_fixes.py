"""The naive fixes: no row says the opposite of what was measured, and its example is of a layer that is decided."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from information_pages import CLAIMS, YES, information_page
from report_pages import page

from seqscale.reporting.fixes import COLUMNS, FIXES, fixes
from seqscale.reporting.html import report
from seqscale.reporting.model import Page, entries
from seqscale.verdicts.base import Curve, CurvePoint, Judgement, Reason, Verdict
from seqscale.verdicts.catalogue import CLAIMS as REGISTERED


@pytest.fixture(scope="module")
def found() -> Page:
    return information_page()


def test_the_fixes_say_what_their_claims_found(found: Page) -> None:
    seen = fixes(found)
    assert list(seen) == list(FIXES)
    for fix, columns in seen.items():
        assert tuple(columns) == COLUMNS
        for column, findings in columns.items():
            assert [f.claim for f in findings] == [
                c for c, said in FIXES[fix][column].items() if c in CLAIMS and "reset" not in said.words
            ]
            for finding in findings:
                assert {e.judgement.claim for e in finding.entries} == {finding.claim}
                assert sum(finding.counts.values()) == len(finding.entries)
    assert fixes(page()) == {}


def with_evidence(found: Page, claim: str, change: Callable[[int, Judgement], Judgement]) -> Page:
    """The page whose judgements of one claim are changed, by their place and what they were."""
    places = [i for i, j in enumerate(found.judgements) if j.claim == claim]
    changed = {i: change(place, found.judgements[i]) for place, i in enumerate(places)}
    return dataclasses.replace(found, judgements=tuple(changed.get(i, j) for i, j in enumerate(found.judgements)))


def arms(place: int, before: Judgement) -> Judgement:
    """Beyond a window: open for the first layer, learned where the state is carried, not where it is reset."""
    carried, reset = (
        {"arm": f"L = 12, k = 8, state {way}, R^2", "says": says, "effect": {"value": r2, "low": r2 - 0.1, "high": r2}}
        for way, r2, says in (("carried", 0.5 + place / 100, "contradicted"), ("reset", place / 100, "supported"))
    )
    verdict, reason = (Verdict.undecided, Reason.replicates) if place == 0 else (Verdict.contradicted, None)
    return dataclasses.replace(before, verdict=verdict, reason=reason, evidence={"arms": [carried, reset]})


def test_what_truncation_costs_is_what_was_found_with_the_state_reset(found: Page) -> None:
    made = with_evidence(found, "truncation.caps-learning", arms)
    columns = fixes(made)["Truncated BPTT"]
    (costs,), (cannot,) = columns["costs"], columns["cannot"]
    asked = len(cannot.entries)
    assert costs.counts[Verdict.supported] == asked and costs.counts[Verdict.contradicted] == 0
    assert cannot.counts == {Verdict.supported: 0, Verdict.contradicted: asked - 1, Verdict.undecided: 1}
    middle = asked // 2
    assert costs.example.endswith(f"R^2 {middle / 100:.3g} [{middle / 100 - 0.1:.3g}, {middle / 100:.3g}]")
    carried = 0.5 + ((asked - 1) // 2 + 1) / 100
    assert cannot.example.endswith(f"R^2 {carried:.3g} [{carried - 0.1:.3g}, {carried:.3g}]")
    text = report(made)
    assert f"{asked - 1} contradicted" in text and costs.example in text and cannot.example in text


def test_the_example_of_a_fix_is_of_a_layer_that_is_decided(found: Page) -> None:
    def open_but_last(place: int, before: Judgement) -> Judgement:
        last = before.layer == "cyclic"
        return dataclasses.replace(
            before, verdict=YES if last else Verdict.undecided, reason=None if last else Reason.noise
        )

    made = with_evidence(found, "width.capacity-grows", open_but_last)
    (room,) = fixes(made)["A wider state"]["buys"]
    assert room.example.startswith("cyclic/") and room.counts[YES] == 1
    nothing = with_evidence(
        made, "width.capacity-grows",
        lambda _, j: dataclasses.replace(j, verdict=Verdict.undecided, reason=Reason.noise),
    )  # fmt: skip
    (room,) = fixes(nothing)["A wider state"]["buys"]
    assert room.example == ""


def test_a_wider_state_does_nothing_across_time() -> None:
    wide = next(iter(FIXES["A wider state"]["cannot"].values()))
    assert "within a step" in wide.words
    made = information_page(claims=("width.capacity-grows",))

    def chains(place: int, before: Judgement) -> Judgement:
        spans = ((98.0, 106.0), (98.0, 50.0))[place > 0]
        curves = tuple(
            Curve(
                label="span", quantity="ideal_span", x_name="length", law=(), law_text="none", exact=True,
                points=(CurvePoint(x=8, y=y, low=y, high=y),),
            )
            for y in spans
        )  # fmt: skip
        return dataclasses.replace(before, curves=curves)

    asked = entries(with_evidence(made, "width.capacity-grows", chains))["width.capacity-grows"]
    said = wide.beside(asked)
    assert f"nothing for 1 of {len(asked)} layers" in said and "T = 8: 98 steps, and 106 in the wider state" in said
    assert wide.beside(entries(made)["width.capacity-grows"]) == ""


def test_every_claim_of_a_fix_is_registered() -> None:
    assert {c for columns in FIXES.values() for claims in columns.values() for c in claims} <= set(REGISTERED)
