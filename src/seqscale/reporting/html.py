"""The report as ONE self-contained HTML file: style, script, figures' data and the drawing library are all inside."""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jinja2

from seqscale.reporting.algorithms import Cost, costs
from seqscale.reporting.calibration import calibration_line, checks
from seqscale.reporting.charts import DARK, FILLED, LIGHT, Figure, config, figures, overview
from seqscale.reporting.choices import SMALLEST_DIFFERENCE, choices
from seqscale.reporting.compare import Rivalry, rivalries
from seqscale.reporting.fixes import fixes
from seqscale.reporting.information import section as information_section
from seqscale.reporting.library import library
from seqscale.reporting.model import (
    TAKEAWAYS,
    Entry,
    Page,
    by_takeaway,
    conditions_text,
    defaults,
    duration,
    entries,
    failures,
    in_words,
    judged,
    layer_names,
    lengths_text,
    outcome_counts,
    printable,
    reason_counts,
    rows_of,
    scope_facts,
    several_widths,
    varying,
    verdict_counts,
)
from seqscale.reporting.phrase import answer, named
from seqscale.reporting.processors import section as processors_section
from seqscale.rows import Row
from seqscale.units import QUANTITIES, format_value
from seqscale.verdicts.base import Kind, Reason, Verdict
from seqscale.verdicts.common import SMALLEST_FLOOR

# Claims whose first figure is drawn small on the first page: as many as stand side by side, the first that were asked.
OVERVIEW = {
    "time.linear-forward": "Forward time",
    "memory.bptt-linear": "What training keeps in memory",
    "information.first-token-fades": "What the state tells of the first token",
    "memory.decode-state": "State carried while decoding",
}
SMALL = 3
View = dict[str, Any]


def report(page: Page) -> str:
    """Return the whole page as one HTML document that loads nothing from anywhere."""
    drawn, small = figures(page), dict(list(overview(page, tuple(OVERVIEW)).items())[:SMALL])
    processors, information = processors_section(page), information_section(page)
    more = (*processors["law_figures"], *processors["roof_figures"]) if processors else ()
    remembered = information["figures"] if information else ()
    data = {f.name: _figure_data(f) for found in (*drawn.values(), small.values(), remembered, more) for f in found}
    decided, found_checks = judged(page), checks(page)
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("template.html").render(
        style=_asset("style.css"),
        script=_asset("app.js"),
        library=library(),
        figures=_embedded(data),
        config=_embedded(config()),
        processors=processors,
        processors_data=_embedded(processors["data"]) if processors else "",
        processors_script=_asset("draw.js") + _asset("processors.js"),
        information=information,
        information_data=_embedded(information["data"]) if information else "",
        information_script=_asset("draw.js") + _asset("information.js"),
        checks=found_checks,
        calibration=calibration_line(found_checks),
        instruments_title=TAKEAWAYS[0],
        choices=choices(page),
        smallest_difference=SMALLEST_DIFFERENCE,
        fixes=_fixes(page),
        palette={"light": LIGHT, "dark": DARK},
        page=page,
        machine=flat(page.machine),
        versions=flat(page.versions),
        answer=answer(page),
        facts=[*scope_facts(page), duration(page.wall_s), page.date],
        total=len(decided),
        counts={verdict.name: n for verdict, n in verdict_counts(decided).items()},
        reasons=reason_counts(decided),
        outcomes=outcome_counts(page.table),
        legend=[(name, i % len(LIGHT)) for i, name in enumerate(layer_names(page).values())],
        takeaways=_takeaways(page),
        overview=[(OVERVIEW[claim], claim, figure) for claim, figure in small.items()],
        rivalries=[_rivalry(found) for found in rivalries(page)],
        implementations=[
            {"layer": f.layer, "length": f.length, "costs": [_cost(one, f.length) for one in f.costs]}
            for f in costs(page)
        ],
        claims=[_claim(page, claim, asked, drawn[claim]) for claim, asked in entries(page).items()],
        failures=[
            {"failure": f, "word": in_words(f.kind), "lengths": lengths_text(f.lengths)} for f in failures(page.table)
        ],
        filled=FILLED,
        several_widths=several_widths(page),
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
    """Return one card for each takeaway: its first claim with a line for every layer's default, the others in words."""
    cards = []
    for takeaway, claims in by_takeaway(page).items():
        everything = [e.judgement for asked in claims.values() for e in asked]
        first = next(iter(claims))
        cards.append(
            {
                "number": takeaway,
                "title": TAKEAWAYS[takeaway],
                "counts": {v.name: n for v, n in verdict_counts(everything).items()},
                "total": len(everything),
                "claims": [
                    {
                        "id": claim,
                        "sentence": page.claims[claim].sentence,
                        "rows": [_row(e) for e in defaults(asked)] if claim == first else [],
                        "found": [(v.name, names) for v in Verdict if (names := named(asked, v))],
                    }
                    for claim, asked in claims.items()
                ],
                "beside": _attention_elsewhere(page) if takeaway == 4 else [],
            }
        )
    return cards


def _fixes(page: Page) -> View:
    """Return fix -> column -> findings, each with its counts, a layer's number, and what else was found."""
    return {
        fix: {
            column: [
                {
                    "claim": f.claim,
                    "words": f.said.words,
                    "counts": {v.name: n for v, n in f.counts.items()},
                    "numbers": [text for text in (f.example, f.said.beside(f.entries)) if text],
                }
                for f in found
            ]
            for column, found in columns.items()
        }
        for fix, columns in fixes(page).items()
    }


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


def _cost(found: Cost, length: int) -> View:
    """Return an algorithm's line: for each mode what a token costs and how many times the fastest; its first call."""
    times = {
        mode: {
            "step": format_value("time", row.observations["time"].value / length),
            "over": f"{r.value:.3g}x [{r.low:.3g}, {r.high:.3g}]"
            if (r := found.over_least.get(mode))
            else "the fastest",
        }
        for mode, row in found.rows.items()
    }
    first = found.rows["forward"].observations.get("first_call_time")
    return {"algorithm": found.algorithm, "times": times, "first": format_value("time", first.value) if first else "-"}


def _claim(page: Page, claim: str, asked: Sequence[Entry], drawn: Iterable[Figure]) -> View:
    wanted = {curve.quantity for e in asked for curve in e.judgement.curves}
    rows = rows_of(page, asked)
    apart, names = varying(row for _, row in rows), layer_names(page)
    return {
        "id": claim,
        "claim": page.claims[claim],
        "takeaway": TAKEAWAYS[page.claims[claim].takeaway],
        "counts": {v.name: n for v, n in verdict_counts(e.judgement for e in asked).items()},
        "rows": [_row(e) for e in asked],
        "figures": list(drawn),
        "cells": len(rows),
        "table": [line for _, row in rows for line in _lines(row, wanted, names, apart)],
    }


def _lines(row: Row, wanted: set[str], names: Mapping[str, str], apart: Mapping[str, Sequence[str]]) -> list[View]:
    """Return the table lines of a cell: one for each quantity the claim draws, or one that says what became of it."""
    cell = row.cell
    options = " ".join((*(f"{key}={value}" for key, value in cell.options), *conditions_text(cell, apart)))
    # a rival or a control need not be among the layers asked
    layer = names.get(cell.layer) or printable(cell.layer)
    base = {"subject": f"{layer}/{cell.algorithm}", "mode": cell.mode, "length": cell.length}
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
