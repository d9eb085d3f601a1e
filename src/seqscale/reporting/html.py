"""The report as ONE self-contained HTML file: style, script, figures' data and the drawing library are all inside."""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jinja2

from seqscale.records import Row
from seqscale.reporting.charts import DARK, FILLED, LIGHT, Figure, config, figures, overview
from seqscale.reporting.compare import Rivalry, rivalries
from seqscale.reporting.library import library
from seqscale.reporting.model import (
    TAKEAWAYS,
    Entry,
    Page,
    by_takeaway,
    defaults,
    duration,
    entries,
    failures,
    in_words,
    layer_names,
    lengths_text,
    outcome_counts,
    reason_counts,
    rows_of,
    scope_facts,
    verdict_counts,
    widths,
)
from seqscale.reporting.phrase import answer
from seqscale.reporting.processors import section
from seqscale.units import QUANTITIES, format_value
from seqscale.verdicts.base import Kind, Reason, Verdict
from seqscale.verdicts.common import SMALLEST_FLOOR

OVERVIEW = {
    "time.linear-forward": "Forward time",
    "memory.bptt-linear": "What training keeps in memory",
    "memory.decode-state": "State carried while decoding",
}
View = dict[str, Any]


def report(page: Page) -> str:
    """Return the whole page as one HTML document that loads nothing from anywhere."""
    drawn, small = figures(page), overview(page, tuple(OVERVIEW))
    processors = section(page)
    more = (*processors["law_figures"], *processors["roof_figures"]) if processors else ()
    data = {f.name: _figure_data(f) for found in (*drawn.values(), small.values(), more) for f in found}
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_asset("template.html")).render(
        style=_asset("style.css"),
        script=_asset("app.js"),
        library=library(),
        figures=_embedded(data),
        config=_embedded(config()),
        processors=processors,
        processors_data=_embedded(processors["data"]) if processors else "",
        processors_script=_asset("processors.js"),
        palette={"light": LIGHT, "dark": DARK},
        page=page,
        machine=flat(page.machine),
        versions=flat(page.versions),
        answer=answer(page),
        facts=[*scope_facts(page), duration(page.wall_s), page.date],
        counts={verdict.name: n for verdict, n in verdict_counts(page.judgements).items()},
        reasons=reason_counts(page.judgements),
        outcomes=outcome_counts(page.table),
        legend=[(name, i % len(LIGHT)) for i, name in enumerate(layer_names(page).values())],
        takeaways=_takeaways(page),
        overview=[(OVERVIEW[claim], claim, figure) for claim, figure in small.items()],
        rivalries=[_rivalry(found) for found in rivalries(page)],
        claims=[_claim(page, claim, asked, drawn[claim]) for claim, asked in entries(page).items()],
        failures=[
            {"failure": f, "word": in_words(f.kind), "lengths": lengths_text(f.lengths)} for f in failures(page.table)
        ],
        filled=FILLED,
        several_widths=len(widths(page)) > 1,
        smallest_floor=SMALLEST_FLOOR,
        kinds=Kind,
        verdicts=Verdict,
        reasons_known=Reason,
        quantities=QUANTITIES,
    )


def _asset(name: str) -> str:
    return importlib.resources.files("seqscale.reporting").joinpath("assets", name).read_text(encoding="utf-8")


def _embedded(data: object) -> str:
    """Write JSON that may stand inside a script element: no `<` can close it or open a comment."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _figure_data(figure: Figure) -> View:
    return {"rows": figure.rows, "main": figure.main, "residuals": figure.residuals}


def _takeaways(page: Page) -> list[View]:
    """Return one card for each takeaway: its claims, each with counts and a line for every layer's default."""
    cards = []
    for takeaway, claims in by_takeaway(page).items():
        judged = [e.judgement for asked in claims.values() for e in asked]
        cards.append(
            {
                "number": takeaway,
                "title": TAKEAWAYS[takeaway],
                "counts": {v.name: n for v, n in verdict_counts(judged).items()},
                "total": len(judged),
                "claims": [
                    {"id": claim, "sentence": page.claims[claim].sentence, "rows": [_row(e) for e in defaults(asked)]}
                    for claim, asked in claims.items()
                ],
                "beside": _attention_elsewhere(page) if takeaway == 4 else [],
            }
        )
    return cards


def _attention_elsewhere(page: Page) -> list[View]:
    """Return what the other takeaways' claims found for attention: "all three" is judged claim by claim."""
    found = []
    for claim, asked in entries(page).items():
        if page.claims[claim].takeaway != 4:
            kin = [e for e in defaults(asked) if e.question.layer.family == "attention"]
            found += [{"claim": claim, **_row(e)} for e in kin]
    return found


def _row(entry: Entry) -> View:
    j = entry.judgement
    return {
        "subject": entry.subject,
        "verdict": j.verdict.name,
        "reason": j.reason.name if j.reason else "",
        "why": f"{j.reason.value}; {j.reason.cure}" if j.reason else "",
        "headline": j.headline,
        "statement": j.statement,
        "evidence": flat(j.evidence),
        "scope": ", ".join(f"{name} {text}" for name, text in flat(j.scope)),
        "laws": [(curve.label, curve.law_text) for curve in j.curves if curve.law],
        "missing": len(j.missing),
    }


def flat(evidence: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested evidence as (path, text) pairs; value, interval and unit of one number become one text."""
    pairs: list[tuple[str, str]] = []
    for key, value in evidence.items():
        name = f"{prefix}{key}".replace("_", " ")
        if not isinstance(value, Mapping):
            pairs.append((name, _text(value)))
            continue
        rest = dict(value)
        if "unit" in rest and ("value" in rest or "text" in rest):
            said = _text(rest.pop("value") if "value" in rest else rest.pop("text"))
            if {"low", "high"} <= set(rest):
                said += f" [{_text(rest.pop('low'))}, {_text(rest.pop('high'))}]"
            pairs.append((name, f"{said} {rest.pop('unit')}".removesuffix(" 1")))
        pairs += flat(rest, f"{name}, ")
    return pairs


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{key}={_text(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        between = "; " if any(isinstance(item, Mapping) for item in value) else ", "
        return f"[{between.join(_text(item) for item in value)}]"
    if value is None:
        return "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _rivalry(found: Rivalry) -> View:
    ends = [(f"T={r.length}", found.factor(r)) for r in (found.ratios[0], found.ratios[-1])]
    return {"attention": found.attention, "rival": found.rival, "ends": ends, "crossover": found.crossover}


def _claim(page: Page, claim: str, asked: Sequence[Entry], drawn: Iterable[Figure]) -> View:
    wanted = {curve.quantity for e in asked for curve in e.judgement.curves}
    rows = rows_of(page, asked)
    return {
        "id": claim,
        "claim": page.claims[claim],
        "takeaway": TAKEAWAYS[page.claims[claim].takeaway],
        "counts": {v.name: n for v, n in verdict_counts(e.judgement for e in asked).items()},
        "rows": [_row(e) for e in asked],
        "figures": list(drawn),
        "cells": len(rows),
        "table": [line for entry, row in rows for line in _lines(entry, row, wanted)],
    }


def _lines(entry: Entry, row: Row, wanted: set[str]) -> list[View]:
    """Return the table lines of a cell: one for each quantity the claim draws, or one that says what became of it."""
    cell = row.cell
    options = " ".join(f"{key}={value}" for key, value in cell.options)
    base = {"subject": f"{entry.layer}/{cell.algorithm}", "mode": cell.mode, "length": cell.length}
    base |= {"width": f"{cell.width} {options}".strip()}
    word = in_words(row.outcome.kind) if row.outcome else "left"
    if not row.ok:
        return [base | {"quantity": "", "value": "", "interval": "", "n": "", "outcome": word}]
    shown = [o for name, o in row.observations.items() if name in wanted or not wanted]
    return [
        base
        | {
            "quantity": o.quantity.replace("_", " "),
            "value": format_value(o.quantity, o.value),
            "interval": f"{format_value(o.quantity, o.low)} to {format_value(o.quantity, o.high)}"
            if len(o.samples) > 1
            else "",
            "n": len(o.samples),
            "outcome": word,
        }
        for o in shown
    ]
