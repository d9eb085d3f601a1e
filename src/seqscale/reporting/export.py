"""Everything of the report as files: figures as SVG and PNG, tables as CSV, verdicts also as JSON."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import vl_convert

from seqscale.records import Row
from seqscale.reporting.charts import figures, in_light
from seqscale.reporting.compare import rivalries
from seqscale.reporting.model import Page, entries, rows_of
from seqscale.units import quantity

PNG_SCALE = 2  # pixels per point: sharp in print at column width
CELL_FIELDS = (
    "probe", "layer", "algorithm", "mode", "length [tokens]", "width", "batch", "options", "dtype", "device", "threads",
    "seed", "cell",
)  # fmt: skip


def export(page: Page, folder: Path) -> list[Path]:
    """Write all files into `folder`, which is made if need be, and return their paths in the order written.

    figures/CLAIM.QUANTITY.X.WIDTH.svg and .png (also `.residuals`), tables/CLAIM.csv, verdicts.csv, verdicts.json,
    faster.csv, cells.csv and samples.csv. Every header names the unit; values are unrounded.

    Raises:
        OSError: the folder or a file cannot be written.
    """
    written = [
        _csv(folder / "verdicts.csv", *_verdicts(page)),
        _text(folder / "verdicts.json", json.dumps([j.record() for j in page.judgements], indent=1, default=str)),
        _csv(folder / "faster.csv", *_faster(page)),
        _csv(folder / "cells.csv", [*CELL_FIELDS, "outcome", "reason"], map(_outcome, page.table)),
        _csv(folder / "samples.csv", *_samples(page)),
    ]
    for claim, asked in entries(page).items():
        rows = [row for _, row in rows_of(page, asked)]
        written.append(_csv(folder / "tables" / f"{_stem(claim)}.csv", *_values(rows)))
    return [*written, *_figures(page, folder / "figures")]


def _figures(page: Page, folder: Path) -> list[Path]:
    written = []
    for figure in (f for drawn in figures(page).values() for f in drawn):
        for part, spec in (("", figure.main), (".residuals", figure.residuals)):
            if spec is None:
                continue
            svg = vl_convert.vegalite_to_svg(in_light(figure, spec))
            stem = _stem(f"{figure.name}{part}")
            written.append(_text(folder / f"{stem}.svg", svg))
            png = folder / f"{stem}.png"
            png.write_bytes(vl_convert.svg_to_png(svg, scale=PNG_SCALE))
            written.append(png)
    return written


def _stem(name: str) -> str:
    """Return a name that is a file's name on every system."""
    return re.sub(r"[^\w.-]+", "_", name)


def _text(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _csv(path: Path, header: Sequence[str], lines: Iterable[Sequence[object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(lines)
    return path


def _cell(row: Row) -> list[object]:
    cell = row.cell
    options = " ".join(f"{key}={value}" for key, value in cell.options)
    return [
        cell.probe, cell.layer, cell.algorithm, cell.mode, cell.length, cell.width, cell.batch, options, cell.dtype,
        cell.device, cell.threads, cell.seed, cell.id,
    ]  # fmt: skip


def _outcome(row: Row) -> list[object]:
    if row.outcome is None:
        return [*_cell(row), "left", ""]
    return [*_cell(row), row.outcome.kind.name, row.outcome.reason or ""]


def _values(rows: Sequence[Row]) -> tuple[list[str], list[list[object]]]:
    """Return the table of one claim: a column trio for each quantity, and the number of samples."""
    names = list(dict.fromkeys(name for row in rows for name in row.observations))
    header = [*CELL_FIELDS, "outcome", "reason"]
    for name in names:
        unit = quantity(name).unit
        header += [f"{name} [{unit}]", f"{name} low [{unit}]", f"{name} high [{unit}]", f"{name} samples"]
    lines = []
    for row in rows:
        line = _outcome(row)
        for name in names:
            seen = row.observations.get(name)
            line += ["", "", "", ""] if seen is None else [seen.value, seen.low, seen.high, len(seen.samples)]
        lines.append(line)
    return header, lines


def _verdicts(page: Page) -> tuple[list[str], list[list[object]]]:
    header = [
        "claim",
        "takeaway",
        "layer",
        "algorithm",
        "width",
        "verdict",
        "reason",
        "number",
        "statement",
        "evidence",
    ]
    lines: list[list[object]] = [
        [
            j.claim, j.takeaway, j.layer, j.algorithm, q.scope.width, j.verdict.name, j.reason.name if j.reason else "",
            j.headline, j.statement, json.dumps(dict(j.evidence), default=str),
        ]
        for q, j in zip(page.questions, page.judgements, strict=True)
    ]  # fmt: skip
    return header, lines


def _faster(page: Page) -> tuple[list[str], list[list[object]]]:
    header = [
        "attention",
        "rival",
        "length [tokens]",
        "rival time / attention time [1]",
        "low [1]",
        "high [1]",
        "faster",
    ]
    lines: list[list[object]] = [
        [found.attention, found.rival, r.length, r.value, r.low, r.high, found.winner(r)]
        for found in rivalries(page)
        for r in found.ratios
    ]
    return header, lines


def _samples(page: Page) -> tuple[list[str], Iterable[list[object]]]:
    header = [
        *CELL_FIELDS,
        "quantity",
        "unit",
        "launch",
        "round",
        "lane",
        "value",
        "cpu time [s]",
        "reference time [s]",
    ]
    lines = (
        [*_cell(row), name, quantity(name).unit, s.launch, s.round, s.lane, s.value, s.cpu_s, s.reference_s]
        for row in page.table
        for name, samples in [
            *((name, seen.samples) for name, seen in row.observations.items()),
            *row.twins.items(),
        ]
        for s in samples
    )
    return header, lines
