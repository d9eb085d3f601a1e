"""The figures of recall: one line for each condition, the shortest length, and the best answer without keys beside."""

from __future__ import annotations

import dataclasses

import pytest
from information_pages import EVERY, cell, information_page, keyless, row_of, trained_accuracy

from seqscale.reporting.choices import choices
from seqscale.reporting.information_figures import information_figures
from seqscale.reporting.model import Page
from seqscale.rows import Table


@pytest.fixture(scope="module")
def found() -> Page:
    return information_page()


def drawn(found: Page, name: str) -> list[dict[str, object]]:
    (figure,) = [f for f in information_figures(found) if f.name == name]
    return [dict(row) for row in figure.rows]


def test_recall_against_pairs_has_what_was_given_and_what_was_trained(found: Page) -> None:
    rows = drawn(found, "information.pairs")
    trained = {(r["layer"], r["x"]): r["y"] for r in rows if r["curve"] == "trained"}
    assert set(trained) == {(spec.name, k) for spec in EVERY for k in (4, 16)}
    assert trained["gru", 4] == pytest.approx(min(trained_accuracy("gru", 4), 0.97), abs=0.05)
    attention = {r["curve"] for r in rows if r["layer"] == "attention"}
    assert attention == {"keys given, logit=4.0", "keys given, logit=8.0", "trained", "best without keys"}


def longer(found: Page) -> Page:
    """The page with recall of 4 pairs in 16 tokens too, which is worse than in 8."""
    cells = [cell("recall", spec, 16, width=16, form="trained", pairs=4) for spec in EVERY]
    return dataclasses.replace(found, table=Table([*map(row_of, cells), *found.table]))


def test_of_the_lengths_of_trained_recall_the_shortest_stands_against_the_pairs(found: Page) -> None:
    before, after = (drawn(p, "information.pairs") for p in (found, longer(found)))
    assert after == before
    (figure,) = [f for f in information_figures(longer(found)) if f.name == "information.pairs"]
    assert "the shortest" in figure.note and "T = 8 for K = 4 and T = 32 for K = 16" in figure.note
    (recalled,) = [c for c in choices(longer(found)) if c.what.startswith("trained recall")]
    assert recalled == next(c for c in choices(found) if c.what.startswith("trained recall"))


def test_each_length_of_trained_recall_has_a_line_by_rate(found: Page) -> None:
    rows = [r for r in drawn(longer(found), "information.rates") if not r["computed"]]
    assert {r["curve"] for r in rows} == {"K = 4, T = 8", "K = 4, T = 16", "K = 16, T = 32"}
    places = [(r["layer"], r["curve"], r["x"]) for r in rows]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("name", ["information.pairs", "information.rates"])
def test_the_best_answer_without_keys_is_in_every_panel_and_in_the_legend(found: Page, name: str) -> None:
    (figure,) = [f for f in information_figures(longer(found)) if f.name == name]
    trained = {r["layer"] for r in figure.rows if "trained" in r["curve"] or "T = " in r["curve"]}
    blind = [r for r in figure.rows if r["curve"].startswith("best without keys")]
    assert {r["layer"] for r in blind} == trained == {spec.name for spec in EVERY}
    assert sorted({r["y"] for r in blind}) == pytest.approx([keyless(16), keyless(4)], abs=1e-5)
    assert all(r["computed"] for r in blind) and not any("chance" in r["curve"] for r in figure.rows)
    layers = figure.main["spec"]["layer"]
    domain = layers[0]["encoding"]["color"]["scale"]["domain"]
    assert {r["curve"] for r in blind} <= set(domain)
    assert layers[0]["encoding"]["color"]["legend"] is not None
    dashes = dict(zip(domain, layers[1]["encoding"]["strokeDash"]["scale"]["range"], strict=True))
    assert all((dashes[r["curve"]] == [1, 0]) != r["computed"] for r in figure.rows)
    # a line of one point is not drawn: it has a tick instead
    (tick,) = [one for one in layers if one["mark"]["type"] == "tick"]
    assert {"filter": "datum.alone"} in tick["transform"]


def test_a_single_computed_point_is_marked_as_alone(found: Page) -> None:
    rows = [r for r in found.table if r.cell.probe != "recall" or dict(r.cell.conditions)["pairs"] != 16]
    made = dataclasses.replace(found, table=Table(rows))
    for shown, alone in ((made, True), (found, False)):
        blind = [r for r in drawn(shown, "information.pairs") if r["curve"] == "best without keys"]
        assert {r["alone"] for r in blind} == {alone}
