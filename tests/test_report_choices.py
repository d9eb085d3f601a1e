"""Which layer? A winner only where the interval says so, a tie only where the difference does not matter."""

from __future__ import annotations

import dataclasses

import pytest
from information_pages import information_page
from report_pages import ATTENTION, CLAIMS, ELMAN, GRU, LENGTHS, page

from seqscale.reporting.choices import Choice, choices
from seqscale.reporting.model import Page
from seqscale.rows import Observation, Outcome, OutcomeKind, Row, Sample, Table

OK = Outcome(kind=OutcomeKind.ok)
FORWARD = {"time.linear-forward": CLAIMS["time.linear-forward"]}


def timed(times: dict[str, list[float]]) -> Page:
    """A page with exactly these forward times, round by round, at its first two lengths."""
    found = page(layers=(ELMAN, GRU, ATTENTION), claims=FORWARD, lengths=LENGTHS[:2], noise_floor=0.02)
    rows = []
    for row in found.table:
        samples = [Sample(value=v * row.cell.length, round=r) for r, v in enumerate(times[row.cell.layer])]
        rows.append(Row(row.cell, OK, {"time": Observation.of("time", samples)}))
    return dataclasses.replace(found, table=Table(rows))


def only(found: Page) -> Choice:
    (choice,) = choices(found)
    return choice


STEADY = [1.0, 1.01, 0.99, 1.0, 1.01, 0.99, 1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("factor", "says"),
    [
        ([2.0] * 9, "elman (32 s)"),
        ([1.01] * 9, "tie of elman and gru (32 s)"),  # under the noise floor
        ([1.0, 1.3, 0.9, 1.2, 1.1, 0.8, 1.3, 1.2, 0.95], "undecided between elman and gru"),
    ],
)
def test_times_are_held_against_each_other_round_by_round(factor: list[float], says: str) -> None:
    times = {"elman": STEADY, "gru": [a * b for a, b in zip(STEADY, factor, strict=True)], "attention": [9.0] * 9}
    choice = only(timed(times))
    assert (choice.what, choice.among) == ("forward time", 3)
    assert [best.at for best in choice.found] == ["T = 32", "T = 64"]
    assert choice.found[0].text() == says


def test_what_disturbs_a_round_disturbs_both_and_decides_nothing() -> None:
    load = [1, 5, 2, 9, 1, 3, 7, 2, 4]
    times = {"elman": [1.0 * s for s in load], "gru": [1.2 * s for s in load], "attention": [2.0 * s for s in load]}
    assert only(timed(times)).found[0].best == "elman"
    assert only(timed(times)).found[0].open == ()


def test_only_sizes_that_all_were_measured_at_are_compared() -> None:
    found = page(layers=(GRU, ATTENTION), claims=FORWARD)
    short = Table(row for row in found.table if row.cell.layer != "gru" or row.cell.length <= 256)
    assert [best.at for best in only(dataclasses.replace(found, table=short)).found] == ["T = 32", "T = 256"]


def test_one_layer_is_no_choice() -> None:
    assert choices(page(layers=(GRU,))) == ()


def test_counts_tie_where_they_are_the_same() -> None:
    found = {choice.what: choice for choice in choices(page(layers=(ELMAN, GRU, ATTENTION)))}
    carried = found["decoding: bytes carried to the next token"].found
    assert [best.text() for best in carried] == ["tie of elman and gru (256 B)"] * 2
    kept = found["training: bytes kept for the backward pass"].found
    assert kept[0].ties == kept[0].open == ()


def test_recall_is_chosen_by_its_intervals() -> None:
    found = {choice.what: choice for choice in choices(information_page())}
    few, many = found["trained recall: share of right answers"].found
    assert (few.at, many.at) == ("K = 4 pairs", "K = 16 pairs")
    assert {many.best, *many.ties} == {"attention", "deltanet"} and many.open == ()


def test_recall_with_wide_intervals_decides_nothing() -> None:
    made = information_page(claims=("retrieval.recurrence-cannot",))
    rows = []
    for row in made.table:
        middle = {"attention": 0.8, "gru": 0.7}.get(row.cell.layer, 0.1)
        spread = 0.15 if middle > 0.5 else 0.001
        seen = [Sample(value=middle + spread * k, round=k + 1) for k in (-1, 0, 1)]
        rows.append(dataclasses.replace(row, observations={"accuracy": Observation.of("accuracy", seen)}))
    (best,) = only(dataclasses.replace(made, table=Table(rows))).found
    assert best.text() == "undecided between attention and gru"
