"""The report's HTML, parsed: self-contained, escaped, complete, and with counts that agree."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from html.parser import HTMLParser

import pytest
from report_pages import ATTENTION, CLAIMS, ELMAN, GRU, broken, layer, page

from seqscale.reporting.algorithms import costs
from seqscale.reporting.charts import figures
from seqscale.reporting.html import flat, report
from seqscale.reporting.model import Page
from seqscale.rows import OutcomeKind, Row, Table
from seqscale.verdicts.base import Curve, CurvePoint

LOADS = ("src", "href", "srcset", "data", "poster", "action", "background", "xlink:href")
VOID = ("meta", "link", "br", "img", "input", "hr")


class Parsed(HTMLParser):
    """Every element with its attributes and text; text of the elements inside included."""

    def __init__(self, document: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self._open: list[tuple[str, list[str]]] = []
        self.feed(document)
        self.close()
        assert not self._open, f"not closed: {[tag for tag, _ in self._open]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        text: list[str] = []
        self.elements.append((tag, dict(attrs), text))
        if tag not in VOID:
            self._open.append((tag, text))

    def handle_endtag(self, tag: str) -> None:
        opened, _ = self._open.pop()
        assert opened == tag, f"<{opened}> closed by </{tag}>"

    def handle_data(self, data: str) -> None:
        for _, text in self._open:
            text.append(data)

    def texts(self, tag: str, css: str | None = None) -> list[str]:
        """Text of the elements of that tag (and class), whitespace folded."""
        return [
            " ".join("".join(text).split())
            for name, attrs, text in self.elements
            if name == tag and (css is None or css in (attrs.get("class") or "").split())
        ]


@pytest.fixture(scope="module")
def found() -> Page:
    return page()


@pytest.fixture(scope="module")
def parsed(found: Page) -> Parsed:
    return Parsed(report(found))


EVIL = "<script>alert(1)</script>\"'&{{ 7 * 7 }}"


@pytest.fixture(scope="module")
def evil() -> Parsed:
    """A page whose every text from outside is hostile."""
    spec = layer(EVIL, "own", (f"own{EVIL}",))
    made = page(
        layers=(GRU, spec), notes=(EVIL,), machine={EVIL: EVIL}, versions={"seqscale": EVIL}, date=EVIL, study=EVIL
    )
    rows: list[Row] = [
        broken(row.cell, OutcomeKind.failed, EVIL) if row.cell.layer == EVIL and row.cell.length > 2000 else row
        for row in made.table
    ]
    changed = tuple(
        dataclasses.replace(j, statement=EVIL, headline=EVIL, evidence={EVIL: {"value": EVIL, "unit": EVIL}})
        for j in made.judgements
    )
    return Parsed(report(dataclasses.replace(made, table=Table(rows), judgements=changed)))


def test_nothing_is_loaded_from_anywhere(parsed: Parsed) -> None:
    for tag, attrs, _ in parsed.elements:
        for name in LOADS:
            value = attrs.get(name)
            assert value is None or value.startswith("#") or value == "data:,", f"<{tag} {name}={value}>"
        assert tag not in ("iframe", "object", "embed", "base", "form")
        assert not re.search(r"url\(|@import", attrs.get("style") or "")
    for style in parsed.texts("style"):
        assert not re.search(r"url\(|@import|//", style)


def test_text_from_outside_is_text(evil: Parsed) -> None:
    scripts = [attrs for tag, attrs, _ in evil.elements if tag == "script"]
    assert [s.get("type") for s in scripts] == ["application/json", "application/json", "module", "module"]
    for tag, attrs, _ in evil.elements:
        assert not [name for name in attrs if name.startswith("on")], f"<{tag}> has a handler"
    shown = " ".join("".join(text) for tag, _, text in evil.elements if tag == "body")
    assert EVIL in shown
    assert any(EVIL in text for text in evil.texts("tr", "failure"))
    assert any(EVIL in text for text in evil.texts("tr", "judgement"))


def test_figures_data_survives_hostile_names(evil: Parsed) -> None:
    (data,) = ["".join(text) for tag, attrs, text in evil.elements if attrs.get("id") == "figure-data"]
    layers = {row["layer"] for figure in json.loads(data).values() for row in figure["rows"]}
    assert EVIL.rsplit("/", 1)[-1] in layers


def test_every_judgement_appears_with_its_verdict(found: Page, parsed: Parsed) -> None:
    rows = parsed.texts("tr", "judgement")
    assert len(rows) == len(found.judgements)
    in_order = [j for claim in found.claims for j in found.judgements if j.claim == claim]
    for row, judgement in zip(rows, in_order, strict=True):
        reason = f": {judgement.reason.name}" if judgement.reason else ""
        name = judgement.layer.rsplit("/", 1)[-1]
        assert row.startswith(f"{name}/{judgement.algorithm}{judgement.verdict.name}{reason} {judgement.statement}")


def test_the_totals_agree_with_the_verdicts_beside_them(found: Page, parsed: Parsed) -> None:
    kinds = Counter(j.verdict for j in found.judgements)
    (totals,) = parsed.texts("p", "totals")
    said = {word: int(count) for count, word in re.findall(r"(\d+) (supported|contradicted|undecided)", totals)}
    assert said == {verdict.name: count for verdict, count in kinds.items()}
    assert f"of {len(found.judgements)} verdicts" in totals


def test_the_algorithms_of_a_layer_stand_together_at_one_length(found: Page, parsed: Parsed) -> None:
    shown = [row for row in parsed.texts("tr", "group") if " at T=" in row]
    assert shown == [f"{one.layer} at T={one.length}" for one in costs(found)]


def test_the_tally_of_a_claim_is_that_of_its_rows(found: Page, parsed: Parsed) -> None:
    groups = [row for row in parsed.texts("tr", "group") if " at T=" not in row]  # of layers, not of claims
    for claim, row in zip(found.claims, groups, strict=True):
        kinds = Counter(j.verdict.name for j in found.judgements if j.claim == claim)
        assert row.startswith(claim)
        said = {word: int(count) for count, word in re.findall(r"(\d+) (supported|contradicted|undecided)", row)}
        assert said == kinds


def test_every_claim_has_its_section_figure_and_table(found: Page, parsed: Parsed) -> None:
    sections = {attrs.get("id") for tag, attrs, _ in parsed.elements if tag == "article" and attrs.get("id")}
    assert sections == {f"claim-{claim}" for claim in found.claims}
    text = " ".join(parsed.texts("section"))
    drawn = [a["data-figure"] or "" for _, a, _ in parsed.elements if a.get("data-part") == "main"]
    for claim in found.claims.values():
        assert claim.sentence in text
        assert any(name.startswith(claim.id) for name in drawn)
    ids = [attrs["id"] for _, attrs, _ in parsed.elements if attrs.get("id")]
    assert len(ids) == len(set(ids))
    links = {attrs["href"] for _, attrs, _ in parsed.elements if (attrs.get("href") or "").startswith("#")}
    assert {str(link).removeprefix("#") for link in links} <= set(ids)


def test_the_table_behind_a_claim_has_every_cell(found: Page, parsed: Parsed) -> None:
    for claim in found.claims.values():
        asked = [q for q in found.questions if q.claim == claim.id]
        cells = {cell.id for q in asked for cell in claim.requires(q)}
        (section,) = ["".join(t) for tag, a, t in parsed.elements if a.get("id") == f"claim-{claim.id}"]
        assert f"{len(cells)} cells" in section


def test_failed_cells_show_reason_and_cure(found: Page, parsed: Parsed) -> None:
    rows = parsed.texts("tr", "failure")
    bad = [row for row in found.table if row.outcome and not row.ok]
    assert sum(int(n) for row in rows for n in re.findall(r"\((\d+)\)", row)[:1]) == len(bad)
    for row in bad:
        assert row.outcome is not None
        assert any(str(row.outcome.reason) in text and row.outcome.kind.cure in text for text in rows)


def test_an_empty_page_is_a_page(found: Page) -> None:
    empty = dataclasses.replace(found, questions=(), judgements=(), table=Table(()), notes=())
    assert "No claim was asked." in Parsed(report(empty)).texts("p", "answer")


def test_a_figure_for_each_width_and_quantity() -> None:
    names = [f.name for drawn in figures(page(layers=(GRU, ELMAN), widths=(64, 128))).values() for f in drawn]
    assert len(names) == len(set(names)) == 2 * 4
    assert all(name.endswith((".64", ".128")) for name in names)


def test_a_point_that_a_log_axis_cannot_show_is_said() -> None:
    made = page(layers=(GRU,), claims={"time.linear-forward": CLAIMS["time.linear-forward"]})
    points = (CurvePoint(x=2, y=0, low=0, high=0), CurvePoint(x=4, y=8, low=0, high=9))
    curve = Curve(label="x", quantity="saved_bytes", x_name="length", points=points, law=((2, 0), (4, 8)), law_text="")
    changed = tuple(dataclasses.replace(j, curves=(curve,)) for j in made.judgements)
    ((figure,),) = figures(dataclasses.replace(made, judgements=changed)).values()
    assert "2 points at or below zero" in figure.note
    assert all(row["low"] > 0 for row in figure.rows)


def test_lines_that_coincide_are_named() -> None:
    made = page(layers=(GRU, ELMAN, ATTENTION), claims={"memory.decode-state": CLAIMS["memory.decode-state"]})
    ((figure,),) = figures(made).values()
    assert figure.note == "Lines that coincide: gru/library, elman/library; gru/reference, elman/reference."


def test_evidence_is_flat_and_keeps_units() -> None:
    nested = {
        "law": {"text": "4*B*T", "unit": "B", "checks": {"fit_ok": True}},
        "time": {"value": 2.5e-6, "low": 2e-6, "high": 3e-6, "unit": "s"},
        "share": {"value": 0.5, "unit": "1"},
        "n": [1, 2.0],
        "at": [{"T": 2, "d": 3}, {"T": 4, "d": 3}],
        "change": None,
    }
    assert flat(nested) == [
        ("law", "4*B*T B"),
        ("law, checks, fit ok", "True"),
        ("time", "2.5e-06 [2e-06, 3e-06] s"),
        ("share", "0.5"),
        ("n", "[1, 2]"),
        ("at", "[T=2 d=3; T=4 d=3]"),
        ("change", "none"),
    ]
