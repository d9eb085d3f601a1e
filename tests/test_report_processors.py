"""The section on P processors: its numbers are those of the laws, and it is absent where nothing was asked."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from processor_pages import CLAIMS, LAYERS, PEAK, counts, finish, processors_page
from report_pages import ATTENTION, GRU, page

from seqscale.kata.constants import KataConstants
from seqscale.kata.sections import parallel
from seqscale.reporting.export import export
from seqscale.reporting.html import report
from seqscale.reporting.laws import law_figures
from seqscale.reporting.model import Page
from seqscale.reporting.parallel import CROSSOVER, DEFAULT, LARGEST, attention_of, counted, grid, kata_rows, schedules
from seqscale.reporting.processors import KINDS, kind, section
from seqscale.reporting.roofline import roofline_figures, rooflines
from seqscale.rows import Observation, Row, Sample, Table


@pytest.fixture(scope="module")
def found() -> Page:
    return processors_page()


def test_without_the_claims_there_is_no_section() -> None:
    assert section(page()) is None
    text = report(page())
    assert 'id="processors"' not in text and 'id="processors-data"' not in text


def test_the_grid_rises_by_eight_an_octave_from_one_to_the_longest() -> None:
    lengths = grid()
    assert list(lengths) == sorted(set(lengths))
    assert lengths[0] == 1 and lengths[-1] == LARGEST
    assert len([n for n in lengths if 2**10 <= n < 2**11]) == 8


def test_laws_give_the_closed_forms_on_the_whole_grid(found: Page) -> None:
    for one in counted(found):
        for length in grid():
            true = counts(one.layer, one.algorithm, length)
            assert one.value("work", length) == true["work"]
            assert one.value("ideal_span", length) == true["ideal_span"]


def test_every_algorithm_with_laws_is_there_and_attention_is_its_first(found: Page) -> None:
    names = [c.name for c in counted(found)]
    assert sorted(names) == sorted(f"{spec.name}/{a}" for spec in LAYERS for a in spec.algorithms)
    attention = attention_of(counted(found))
    assert attention is not None and attention.name == "attention/library"
    assert all(c.reach[1] < LARGEST for c in counted(found))


def test_the_katas_table_is_the_katas() -> None:
    rows = [(row.length, row.rnn_steps, row.attention_steps) for row in parallel(KataConstants())]
    assert [(row.length, row.recurrence, row.attention) for row in kata_rows()] == rows
    assert KataConstants().cores == DEFAULT


def test_the_counted_side_of_the_katas_table_is_between_the_bounds(found: Page) -> None:
    view = section(found)
    assert view is not None
    kata = view["kata"]
    assert (kata["recurrence"], kata["attention"]) == ("gru/library", "attention/library")
    assert (kata["true_factor"], kata["kata_factor"], kata["cut"], kata["whole"]) == ("16", "12.8", 5, "4")
    for row in kata["rows"]:
        length = int(row["length"].replace(",", ""))
        for name, text in zip(("gru", "attention"), row["counted"], strict=False):
            true = counts(name, "library", length)
            work, span = true["work"] / DEFAULT, true["ideal_span"]
            low, high = (int(end.replace(",", "")) for end in text.split(" to "))
            assert low <= max(work, span) <= low + 1 and high - 1 <= work + span <= high


def test_a_page_without_attention_has_no_race_but_its_laws() -> None:
    view = section(processors_page(layers=(GRU,), claims=("parallel.span-grows",)))
    assert view is not None
    assert not view["race"] and view["kata"] is None
    assert len(view["law_figures"]) == 4
    assert [s["name"] for s in view["data"]["schedules"]] == ["gru/library", "gru/reference"]


def test_a_layer_without_laws_is_named_with_the_reason_and_its_counts_are_drawn(found: Page) -> None:
    def strange(row: Row) -> Row:
        if row.cell.probe != "count" or (row.cell.layer, row.cell.algorithm) != ("gru", "library"):
            return row
        values = {"ideal_span": float(int(row.cell.length**1.5)), "work": 7.0 * row.cell.length}
        return dataclasses.replace(
            row, observations={n: Observation.of(n, [Sample(value=v)]) for n, v in values.items()}
        )

    made = dataclasses.replace(found, table=Table(map(strange, found.table)))
    view = section(made)
    assert view is not None
    assert view["absent"] == [("gru/library", "no exact law verifies for its ideal span")]
    assert "gru/library is not here: no exact law verifies for its ideal span." in report(made)
    assert [other["name"] for other in view["data"]["others"]].count("gru/library") == 0
    (spans,) = [f for f in view["law_figures"] if f.name == "processors.ideal_span"]
    assert {row["part"] for row in spans.rows if row["curve"] == "gru/library"} == {"counted"}


def test_attention_is_there_when_only_the_crossover_counts_it() -> None:
    made = processors_page(layers=(GRU,), claims=(CROSSOVER,))
    view = section(made)
    assert view is not None and view["race"]
    assert view["data"]["attention"]["name"] == "attention/library"
    assert "attention" in {row["layer"] for row in view["law_figures"][0].rows}


def test_idle_hardware_alone_shows_the_roofline_only() -> None:
    made = processors_page(layers=(GRU, ATTENTION), claims=("parallel.idle-hardware",))
    view = section(made)
    assert view is not None
    assert not view["slider"] and not view["law_figures"] and len(view["roof_figures"]) == 1
    assert 'id="processors-data"' not in report(made)


def test_the_figures_lines_are_the_laws_and_their_points_the_counts(found: Page) -> None:
    figures = {f.name: f for f in law_figures(found, counted(found))}
    for row in figures["processors.parallelism"].rows:
        true = counts(row["layer"], row["algorithm"], row["x"])
        assert row["y"] == pytest.approx(true["work"] / true["ideal_span"])
    parts = {row["part"] for row in figures["processors.work"].rows}
    assert parts == {"law", "beyond", "counted"}
    for row in figures["processors.work"].rows:
        reach = next(c.laws["work"].reach("T")[1] for c in counted(found) if c.name == row["curve"])
        assert row["part"] != "law" or row["x"] <= reach
        assert row["part"] != "beyond" or row["x"] >= reach


def test_the_roof_is_the_lower_of_memory_and_arithmetic(found: Page) -> None:
    (roof,) = rooflines(found)
    assert roof.roof(roof.ridge) == pytest.approx(PEAK) == pytest.approx(roof.roof(100 * roof.ridge))
    assert roof.roof(roof.ridge / 4) == pytest.approx(PEAK / 4)
    (figure,) = roofline_figures(found)
    points = [row for row in figure.rows if row["part"] == "layer"]
    assert len(points) == len(roof.points) == 3 * sum(len(spec.algorithms) for spec in LAYERS)


@pytest.mark.parametrize(
    ("operator", "work", "expected"),
    [
        ("aten.addmm.default", 9, "product"),
        ("aten.tanh.default", 9, "pointwise"),
        ("aten._softmax.default", 9, "reduction"),
        ("aten.clone.default", 0, "move"),
        ("aten.mkldnn_rnn_layer.default", 9, "fused"),
        ("aten._scaled_dot_product_flash_attention_for_cpu.default", 9, "fused"),
        ("seqscale::delta", 9, "fused"),
        ("aten.add.Tensor", 9, "pointwise"),
        ("mul", 9, "pointwise"),
    ],
)
def test_the_kind_of_an_operator_is_read_off_its_name(operator: str, work: int, expected: str) -> None:
    assert kind(operator, work) == expected
    assert expected in KINDS


graphs = st.lists(
    st.tuples(st.integers(0, 500), st.integers(1, 9), st.sets(st.integers(0, 30), max_size=3)), min_size=1
)


@given(graphs, st.integers(1, 300))
def test_a_greedy_schedule_keeps_within_the_bounds(drawn: list[tuple[int, int, set[int]]], processors: int) -> None:
    kernels = [
        ("x", work, depth, sorted({w % i for w in waits} if i else [])) for i, (work, depth, waits) in enumerate(drawn)
    ]
    ends: list[int] = []
    for _, _, depth, waits in kernels:
        ends.append(depth + max((ends[w] for w in waits), default=0))
    work, span = sum(k[1] for k in kernels), max(ends)
    end = finish(kernels, processors)
    assert max(work / processors, span) * (1 - 1e-6) <= end <= (work / processors + span) * (1 + 1e-6)


def test_schedules_are_those_of_the_table(found: Page) -> None:
    drawn = schedules(found)
    assert {s.name for s in drawn} == {f"{spec.name}/{a}" for spec in LAYERS for a in spec.algorithms}
    assert all(max(waits, default=-1) < i for s in drawn for i, (*_, waits) in enumerate(s.kernels))


def test_export_has_the_laws_the_bounds_and_the_roofline(found: Page, tmp_path: Path) -> None:
    written = {path.name for path in export(found, tmp_path)}
    for name in ("work", "ideal_span", "kernel_span", "parallelism", "roofline.2"):
        assert {f"processors.{name}.svg", f"processors.{name}.png"} <= written
    with (tmp_path / "processors.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(counted(found)) * len(grid())
    reach = {(c.layer, c.algorithm): c.reach for c in counted(found)}
    for line in lines:
        low, high = reach[line["layer"], line["algorithm"]]
        assert (line["extrapolated"] == "False") == (low <= int(line["length [tokens]"]) <= high)
    for line in lines[:: len(grid()) // 2]:
        work, span = float(line["work [flop]"]), float(line["ideal_span [steps]"])
        assert float(line["T_1024 low [steps]"]) == max(work / 1024, span)
        assert float(line["T_1024 high [steps]"]) == pytest.approx(work / 1024 + span)
    with (tmp_path / "roofline.csv").open(newline="") as file:
        assert {float(line["peak [flop/s]"]) for line in csv.DictReader(file)} == {PEAK}
    assert {"laws.csv", "roofline.csv"} <= written
    assert set(CLAIMS) <= {path.removesuffix(".csv") for path in written}
