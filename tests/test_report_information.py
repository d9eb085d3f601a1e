"""What the report says of what a state remembers: its numbers are those of the rows, and a gap stays a gap."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import json
import math
import re
import statistics
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from information_pages import (
    EVERY,
    FAILED_CHECK,
    INSTRUMENT,
    YES,
    cell,
    information_page,
    numbers,
    row_of,
)
from report_pages import GRU, page
from scipy import stats
from test_report_fixes import with_evidence
from test_report_html import Parsed

from seqscale.layers.catalogue import LAYERS
from seqscale.profiles import read
from seqscale.reporting.calibration import checks
from seqscale.reporting.charts import figures
from seqscale.reporting.export import export
from seqscale.reporting.hourglass import SENTENCE, fits, hourglass
from seqscale.reporting.html import report
from seqscale.reporting.information import section
from seqscale.reporting.information_figures import information_figures
from seqscale.reporting.model import Page, judged, layer_names, scope_facts
from seqscale.reporting.phrase import answer
from seqscale.reporting.remembered import kept, mean_point, usual_size
from seqscale.rows import Outcome, OutcomeKind, Row, Table
from seqscale.theory.bounds import bits_that_fit, log_det_bits

# figure -> the probe without whose cells it is absent
FIGURES = {
    "information.bits": "token-bits",
    "information.capacity": "token-bits",
    "information.memory": "memory-curve",
    "information.pairs": "recall",
    "information.rates": "recall",
    "information.gradient": "gradient-horizon",
    "information.truncation": "truncation",
}


@pytest.fixture(scope="module")
def found() -> Page:
    return information_page()


@pytest.fixture(scope="module")
def text(found: Page) -> str:
    return report(found)


def drawn(found: Page, name: str) -> list[dict[str, object]]:
    (figure,) = [f for f in information_figures(found) if f.name == name]
    return [dict(row) for row in figure.rows]


def test_without_its_cells_there_is_no_section() -> None:
    assert section(page()) is None
    assert 'id="information"' not in report(page()) and 'id="information-data"' not in report(page())


@pytest.mark.parametrize("probe", sorted(set(FIGURES.values())))
def test_a_figure_is_absent_exactly_where_its_cells_are(probe: str) -> None:
    names = [f.name for f in information_figures(information_page(without=(probe,)))]
    assert names == [name for name, needs in FIGURES.items() if needs != probe]


def test_without_bits_the_section_has_neither_sentence_nor_hourglass() -> None:
    made = report(information_page(without=("token-bits",)))
    assert 'id="information"' in made and 'id="hourglass"' not in made and 'id="information-data"' not in made


def test_points_are_means_over_replicates_with_students_interval(found: Page) -> None:
    rows = {(r["layer"], r["curve"], r["x"]): r for r in drawn(found, "information.bits")}
    one = next(row for row in found.table if row.cell.layer == "gru" and row.cell.probe == "token-bits")
    curve = read(one.document or "").curves["bits"]
    for x, values in zip(curve.x, curve.values, strict=True):
        row = rows["gru", f"T = {one.cell.length}", x]
        low, high = stats.t.interval(0.95, len(values) - 1, statistics.mean(values), stats.sem(values))
        assert (row["y"], row["low"], row["high"]) == pytest.approx((statistics.mean(values), low, high), abs=1e-5)
        assert row["n"] == len(values)


def test_a_norm_has_its_mean_and_interval_of_the_logarithm() -> None:
    point = mean_point("gradient_norm", 1.0, [1e-6, 1e-4, 1e-2])
    assert point.y == pytest.approx(1e-4)
    assert point.low > 0 and point.low * point.high == pytest.approx(1e-8)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=9))
def test_an_interval_stays_where_the_quantity_can_be(values: list[float]) -> None:
    point = mean_point("accuracy", 0.0, values)
    assert 0 <= point.low <= point.y + 1e-12 and point.y - 1e-12 <= point.high <= 1


def test_a_closed_form_is_drawn_as_computed(found: Page) -> None:
    rows = drawn(found, "information.memory")
    assert {r["layer"] for r in rows if r["computed"]} == {"orthogonal", "cyclic", "lru"}
    assert {r["curve"] for r in rows if r["computed"]} == {"closed form"}
    assert all(r["low"] == r["y"] == r["high"] for r in rows if r["computed"])


def test_a_claims_bound_is_a_line_without_points(found: Page) -> None:
    (figure,) = figures(found)["information.first-token-fades"]
    assert {row["curve"].split()[-1] for row in figure.rows if row["computed"]} == {"bound"}
    filters = [layer["transform"][0]["filter"] for layer in figure.main["layer"] if layer["mark"]["type"] == "point"]
    assert filters == ["!datum.computed"]
    scale = figure.main["layer"][0]["encoding"]["y"]["scale"]
    assert scale["type"] == "linear" and scale["domain"][0] <= 0


def test_bits_by_distance_are_of_one_size_of_each_layer(found: Page) -> None:
    for one in usual_size(kept(found, "token-bits")):
        assert dict(one.cell.options).get("hidden", 16) == 16
    assert {r["curve"] for r in drawn(found, "information.bits")} == {"T = 32", "T = 100"}


def test_capacity_has_every_size_at_its_longest(found: Page) -> None:
    rows = drawn(found, "information.capacity")
    sizes = {(spec.name, h) for spec in EVERY for h in ((16, 32) if spec.widen == "hidden" else (16,))}
    assert sorted((r["layer"], r["x"]) for r in rows) == sorted((n, numbers(n, h, 100)) for n, h in sizes)
    for row in rows:
        found_bits, bound, source = (float(str(row[name])) for name in ("y", "bound", "source"))
        assert found_bits <= bound + 0.1 and bound <= source == 300


def test_states_of_as_many_numbers_stand_side_by_side(found: Page) -> None:
    (figure,) = [f for f in information_figures(found) if f.name == "information.capacity"]
    assert figure.main["encoding"]["x"]["field"] == "at"
    assert figure.main["encoding"]["x"]["scale"]["type"] == "log"
    low, high = figure.main["encoding"]["x"]["scale"]["domain"]
    rows = sorted(figure.rows, key=lambda r: float(r["at"]))
    assert [r["x"] for r in rows] == sorted(r["x"] for r in rows)
    assert low < rows[0]["at"] and rows[-1]["at"] < high
    gaps = [math.log2(b["at"] / a["at"]) for a, b in itertools.pairwise(rows)]
    assert min(gaps) > 0.09  # a marker is 8 pixels wide, and 7 octaves 700


def test_a_size_measured_at_another_length_says_so(found: Page) -> None:
    wide = row_of(cell("token-bits", LAYERS["gru"], 128, 64))
    made = dataclasses.replace(found, table=Table([*found.table, wide]))
    assert {r["curve"] for r in drawn(made, "information.capacity") if r["x"] == 64 and r["layer"] == "gru"} == {
        "hidden=64, T = 128"
    }
    (figure,) = [f for f in information_figures(made) if f.name == "information.capacity"]
    assert "after 100 tokens, which carry 300 bits" in figure.note and "after 128 tokens say so" in figure.note


def test_the_smallest_size_stands_for_its_layer_on_the_truncation_map(found: Page) -> None:
    given = {"boundary": "carry", "trained": "all", "window": 4, "lag": 12}
    wide = row_of(cell("truncation", LAYERS["gru"], 64, 512, **given))
    far = row_of(cell("truncation", LAYERS["gru"], 768, 512, **{**given, "window": 256, "lag": 300}))
    made = dataclasses.replace(found, table=Table([*found.table, wide, far]))
    before, after = (drawn(page, "information.truncation") for page in (found, made))
    assert [r for r in after if r["curve"] != "state carried, all trained, L = 300"] == before
    assert len(after) == len(before) + 1


def test_the_truncation_map_has_the_law_beside_what_was_reset(found: Page) -> None:
    rows = drawn(found, "information.truncation")
    law = {(r["curve"], r["x"]): r["y"] for r in rows if r["layer"] == "law, at most"}
    arm = "state reset, all trained, L = 12"
    assert law == {(arm, 4): 0.0, (arm, 32): pytest.approx(1 - 12 / 32)}
    assert {r["reach"] for r in rows if r["x"] == 4} == {"beyond the window"}
    assert {r["reach"] for r in rows if r["x"] == 32} == {"within the window"}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_explained_in_two_sentences(found: Page, name: str) -> None:
    (figure,) = [f for f in information_figures(found) if f.name == name]
    sentences = [s for s in figure.note.replace("L/k).", "L/k)").split(". ") if s]
    assert 2 <= len(sentences) <= 3
    assert figure.note.endswith(".")


def test_a_broken_document_is_a_gap_and_no_error(found: Page) -> None:
    rows = [dataclasses.replace(row, document="{") for row in found.table]
    made = dataclasses.replace(found, table=Table(rows))
    names = [f.name for f in information_figures(made)]
    assert names == ["information.capacity", "information.pairs", "information.truncation"]  # these stand on readings
    assert hourglass(made, ()) is None
    assert all(check.comparisons == () for check in checks(made))
    assert "<h2>What a state remembers</h2>" in report(made)


@given(st.integers(1, 5000), st.integers(2, 64), st.integers(1, 64), st.sampled_from([16, 32, 64]), st.floats(1e-4, 10))
@settings(deadline=None)
def test_what_fits_is_the_least_of_source_precision_and_noise(
    tokens: int, symbols: int, size: int, each: int, noise: float
) -> None:
    slow = bits_that_fit(tokens, symbols, size, each, log_det_bits(np.eye(size), noise**2))
    assert fits(tokens, symbols, size, each, noise) == pytest.approx(float(slow), rel=1e-9)


def test_no_state_of_that_variance_lets_more_through_the_noise() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        size, noise = int(rng.integers(1, 12)), float(rng.uniform(0.01, 2))
        root = rng.normal(size=(size, size))
        spread = root @ root.T
        spread *= size / np.trace(spread)  # a mean variance of 1, which the noise is a share of
        assert log_det_bits(spread, noise**2) <= fits(10**6, 64, size, 10**6, noise) * (1 + 1e-9)


def test_without_noise_only_source_and_precision_bound() -> None:
    assert fits(1000, 8, 4, 32, 0.0) == 128


def test_the_hourglass_has_every_measured_cell(found: Page) -> None:
    data = hourglass(found, tuple(layer_names(found).values()))
    assert data is not None
    for layer in data["layers"]:
        measured = [one for one in kept(found, "token-bits") if one.layer == layer["name"]]
        assert [(c["length"], c["y"][-1]) for c in layer["cells"]] == [
            (one.cell.length, pytest.approx(one.points("found")[-1].y, abs=1e-4)) for one in measured
        ]
        assert {c["length"] for c in layer["cells"]} == {32, 100}
        assert set(layer["bits"]) == {32, 100}
        assert layer["grows"] == (layer["name"] == "attention")
    assert {32, 100, 1000} <= set(data["lengths"]) and data["default"][0] in data["sizes"]
    assert len(data["words"]) == len(SENTENCE.split()) == 32


def test_cells_of_another_noise_are_not_held_against_this_ones_bound(found: Page) -> None:
    rows = []
    for row in found.table:
        given = dict(row.cell.conditions)
        if row.cell.probe == "token-bits" and row.cell.layer == "gru":
            cell = dataclasses.replace(row.cell, conditions=tuple(sorted({**given, "noise": 0.5}.items())))
            row = dataclasses.replace(row, cell=cell)
        rows.append(row)
    data = hourglass(dataclasses.replace(found, table=Table(rows)), tuple(layer_names(found).values()))
    assert data is not None
    assert data["noise"] == 0.01 and "gru" not in [layer["name"] for layer in data["layers"]]


def test_instruments_are_no_layer_and_have_a_table(found: Page, text: str) -> None:
    assert INSTRUMENT.name not in layer_names(found)
    parsed = Parsed(text)
    assert len(judged(found)) == sum(j.layer != INSTRUMENT.name for j in found.judgements)
    assert len(parsed.texts("tr", "judgement")) == len(judged(found))
    (totals,) = parsed.texts("p", "totals")
    assert f"of {len(judged(found))} verdicts" in totals
    assert 'id="claim-instrument.known-values"' not in text
    (line,) = [t for t in parsed.texts("p", "quiet") if t.startswith("Instruments:")]
    assert f"10 of 11 checks passed; not: {FAILED_CHECK}" in line
    rows = [t for t in parsed.texts("tr") if "comparisons" in t]
    assert len(rows) == len(checks(found)) == 11
    assert [FAILED_CHECK in row for row in rows] == ["failed" in row for row in rows]
    assert all("instrument" not in str(row["layer"]) for f in figures(found).values() for one in f for row in one.rows)


def test_a_check_lists_its_comparisons_the_furthest_off_first(found: Page) -> None:
    for check in checks(found):
        errors = [c.error for c in check.comparisons]
        assert errors == sorted(errors, reverse=True) and errors[0] == pytest.approx(check.error)
        assert check.passed == (check.name != FAILED_CHECK)


def test_a_study_of_instruments_alone_answers_for_them() -> None:
    made = information_page(claims=("instrument.known-values",))
    assert answer(made).startswith("Instruments on what is known: 10 of 11 checks passed")
    assert 'id="instruments"' in report(made)


def test_opening_and_facts_say_the_same_lengths(found: Page) -> None:
    short = with_evidence(
        found, "retrieval.recurrence-cannot",
        lambda _, j: dataclasses.replace(j, scope={**j.scope, "lengths": [3]}),
    )  # fmt: skip
    (fact,) = [fact for fact in scope_facts(short) if fact.startswith("T ")]
    assert fact.startswith("T 3..") and f"for {fact} and" in answer(short)


def test_nothing_found_is_said_to_be_held(text: str) -> None:
    for id in ("information", "fixes"):
        section = text.split(f'<section id="{id}">')[1].split("</section>")[0]
        assert not re.search(r"\bheld\b|still hold|bits are held|rule can hold|holds? all", section)


def test_the_answer_speaks_of_forgetting_and_of_retrieval(found: Page) -> None:
    said = answer(found)
    held = sum(1 for j in found.judgements if j.claim == "information.first-token-fades" and j.verdict is YES)
    assert f"the state told less of the first of 32 tokens than of the first of 2 for {held} layers" in said
    assert "not for elman-orthogonal, orthogonal, cyclic and attention" in said and "(undecided for lru)" in said
    assert "which of a few values belongs to a key was learned for every layer" in said


def test_a_card_names_the_layers_of_every_other_claim(found: Page, text: str) -> None:
    cards = Parsed(text).texts("article", "card")
    assert len(cards) == 3
    (second,) = [card for card in cards if card.startswith("2A fixed state forgets")]
    assert "contradicted elman-orthogonal, orthogonal, cyclic, attention" in second
    assert "undecided replicates: lru" in second
    assert f"contradicted all {len(EVERY)}" in second
    assert second.count("1.23 [1.2, 1.26] bit") == len(EVERY)


def test_export_has_every_point_of_every_curve_and_the_means(tmp_path: Path) -> None:
    found = information_page(layers=(LAYERS["gru"], LAYERS["orthogonal"], LAYERS["attention"]))
    written = {path.name for path in export(found, tmp_path)}
    assert {f"{name}.svg" for name in FIGURES} <= written
    measured = [row for row in found.table if row.document and row.cell.of_layer]
    for probe in {row.cell.probe for row in measured}:
        with (tmp_path / "curves" / f"{probe}.csv").open(newline="") as file:
            lines = list(csv.DictReader(file))
        curves = {r.cell.id: read(r.document or "").curves for r in measured if r.cell.probe == probe}
        points = {
            (cell, name, x): values
            for cell, named in curves.items()
            for name, curve in named.items()
            for x, values in zip(curve.x, curve.values, strict=True)
        }
        assert {(line["cell"], line["curve"], float(line["x"])) for line in lines} == set(points)
        for line in lines[::97]:
            values = points[line["cell"], line["curve"], float(line["x"])]
            logs = line["quantity"] == "gradient_norm"
            mean = math.exp(statistics.mean(map(math.log, values))) if logs else statistics.mean(values)
            assert float(line["mean"]) == pytest.approx(mean)
            assert float(line["low"]) <= float(line["mean"]) <= float(line["high"])
    with (tmp_path / "means.csv").open(newline="") as file:
        means = {(line["cell"], line["quantity"]): float(line["mean"]) for line in csv.DictReader(file)}
    for row in measured[:20]:
        for name, seen in row.observations.items():
            if name != "gradient_norm":
                assert means[row.cell.id, name] == pytest.approx(statistics.mean(s.value for s in seen.samples))
    with (tmp_path / "calibration.csv").open(newline="") as file:
        checked = list(csv.DictReader(file))
    assert {line["check"] for line in checked if line["passed"] == "False"} == {FAILED_CHECK}
    assert len(checked) == sum(len(check.comparisons) for check in checks(found))
    with (tmp_path / "cells.csv").open(newline="") as file:
        assert any("pairs=16" in line["conditions"] for line in csv.DictReader(file))


def test_a_failed_cell_of_a_probe_is_shown_with_its_reason(found: Page) -> None:
    reason = "the state is not finite after 37 tokens"
    rows = [
        Row(row.cell, Outcome(kind=OutcomeKind.failed, reason=reason))
        if (row.cell.layer, row.cell.probe) == ("gru", "token-bits")
        else row
        for row in found.table
    ]
    made = dataclasses.replace(found, table=Table(rows))
    assert any(reason in row for row in Parsed(report(made)).texts("tr", "failure"))
    assert "gru" not in {r["layer"] for r in drawn(made, "information.bits")}


def test_figures_of_the_section_carry_their_data(found: Page, text: str) -> None:
    (data,) = ["".join(t) for _, a, t in Parsed(text).elements if a.get("id") == "figure-data"]
    assert set(FIGURES) <= set(json.loads(data))
    assert len(text) < 6e6


def test_a_page_of_times_alone_has_no_instruments_and_no_fixes() -> None:
    made = report(page(layers=(GRU,)))
    assert 'id="instruments"' not in made and 'id="fixes"' not in made
