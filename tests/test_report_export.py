"""The exported files: every figure and table, with units, and the numbers of the page."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from report_pages import ATTENTION, CLAIMS, GRU, OWN, layer, page

from seqscale.reporting.charts import figures
from seqscale.reporting.export import export
from seqscale.reporting.model import Page
from seqscale.units import QUANTITIES

TWO = {name: CLAIMS[name] for name in ("time.linear-training", "memory.decode-state")}


@pytest.fixture(scope="module")
def found() -> Page:
    return page(layers=(GRU, ATTENTION, OWN), claims=TWO)


@pytest.fixture(scope="module")
def folder(found: Page, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "deep" / "folder"
    written = export(found, folder)
    assert sorted(written) == sorted(path for path in folder.rglob("*") if path.is_file())
    return folder


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_figure_is_there_twice_and_drawn(found: Page, folder: Path) -> None:
    drawn = [f for group in figures(found).values() for f in group]
    stems = {f.name for f in drawn} | {f"{f.name}.residuals" for f in drawn if f.residuals}
    assert {path.name.removesuffix(".svg") for path in folder.glob("figures/*.svg")} == stems
    for stem in stems:
        svg = ElementTree.parse(folder / "figures" / f"{stem}.svg")
        assert len(list(svg.iter("{http://www.w3.org/2000/svg}path"))) > 5
        text = (folder / "figures" / f"{stem}.svg").read_text(encoding="utf-8")
        assert "var(--" not in text
        assert "#c2540a" in text  # the first layer's colour
        assert (folder / "figures" / f"{stem}.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_samples_are_the_raw_ones(found: Page, folder: Path) -> None:
    samples = [s.value for row in found.table for seen in row.observations.values() for s in seen.samples]
    assert [float(line["value"]) for line in lines(folder / "samples.csv")] == samples


def test_tables_hold_every_cell_with_units_in_the_header(found: Page, folder: Path) -> None:
    rows = {row.cell.id: row for row in found.table}
    for claim in TWO.values():
        table = lines(folder / "tables" / f"{claim.id}.csv")
        cells = {cell.id for q in found.questions if q.claim == claim.id for cell in claim.requires(q)}
        assert {line["cell"] for line in table} == cells
        for line in table:
            row = rows[line["cell"]]
            assert row.outcome is not None and line["outcome"] == row.outcome.kind.name
            for name, seen in row.observations.items():
                unit = QUANTITIES[name].unit
                values = [float(line[f"{name}{part} [{unit}]"]) for part in ("", " low", " high")]
                assert values == [seen.value, seen.low, seen.high]


def test_verdicts_are_the_judgements(found: Page, folder: Path) -> None:
    assert [line["verdict"] for line in lines(folder / "verdicts.csv")] == [j.verdict.name for j in found.judgements]
    stored = json.loads((folder / "verdicts.json").read_text(encoding="utf-8"))
    assert stored == json.loads(json.dumps([j.record() for j in found.judgements]))


def test_a_strange_name_stays_text(tmp_path: Path) -> None:
    name = 'a,"b"\n<svg onload=x>'
    made = page(layers=(layer(name, "own", ("own",)),), claims={"memory.decode-state": TWO["memory.decode-state"]})
    export(made, tmp_path)
    assert {line["layer"] for line in lines(tmp_path / "cells.csv")} == {name}
    for path in tmp_path.glob("figures/*.svg"):
        assert "onload" not in {key for e in ElementTree.parse(path).iter() for key in e.attrib}
