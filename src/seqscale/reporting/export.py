"""Everything of the report as files: figures as SVG and PNG, tables as CSV, verdicts also as JSON."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import vl_convert

from seqscale.fit.processors import bounds, crossing
from seqscale.reporting.calibration import Check, checks
from seqscale.reporting.charts import Figure, figures, in_light
from seqscale.reporting.compare import rivalries
from seqscale.reporting.information_figures import information_figures
from seqscale.reporting.laws import law_figures
from seqscale.reporting.model import Page, entries, rows_of
from seqscale.reporting.parallel import PROCESSORS, Counted, attention_of, counted, grid
from seqscale.reporting.remembered import Kept, every_kept
from seqscale.reporting.roofline import Roofline, roofline_figures, rooflines
from seqscale.rows import Row
from seqscale.units import quantity

PNG_SCALE = 2  # pixels per point: sharp in print at column width
CELL_FIELDS = (
    "probe", "layer", "algorithm", "mode", "length [tokens]", "width", "batch", "options", "conditions", "dtype",
    "device", "threads", "seed", "cell",
)  # fmt: skip


def export(page: Page, folder: Path) -> list[Path]:
    """Write all files into `folder`, which is made if need be, and return their paths in the order written.

    figures/CLAIM.QUANTITY.X.WIDTH.svg and .png (also `.residuals`), tables/CLAIM.csv, verdicts.csv, verdicts.json,
    faster.csv, cells.csv and samples.csv; where the claims on span and idle hardware were asked, also laws.csv,
    processors.csv, crossings.csv and roofline.csv; where what a state remembers was measured, means.csv and, with every
    point of every curve, curves/PROBE.csv; calibration.csv where instruments were checked. Every header, or a column
    beside the number, names the unit; values are unrounded.

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
    found = counted(page)
    if found:
        written.append(_csv(folder / "laws.csv", *_laws(found)))
        written.append(_csv(folder / "processors.csv", *_processors(found)))
        written.append(_csv(folder / "crossings.csv", *_crossings(found)))
    if roofs := rooflines(page):
        written.append(_csv(folder / "roofline.csv", *_rooflines(roofs)))
    remembered = every_kept(page)
    if remembered:
        written.append(_csv(folder / "means.csv", *_means(remembered)))
    for probe in dict.fromkeys(one.cell.probe for one in remembered):
        lines = _curves(one for one in remembered if one.cell.probe == probe)
        written.append(_csv(folder / "curves" / f"{probe}.csv", *lines))
    if checked := checks(page):
        written.append(_csv(folder / "calibration.csv", *_calibration(checked)))
    drawn = [*(f for group in figures(page).values() for f in group), *information_figures(page)]
    return [*written, *_figures([*drawn, *law_figures(page, found), *roofline_figures(page)], folder / "figures")]


def _figures(drawn: Iterable[Figure], folder: Path) -> list[Path]:
    written = []
    for figure in drawn:
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
    options, conditions = (
        " ".join(f"{key}={value}" for key, value in given) for given in (cell.options, cell.conditions)
    )
    return [
        cell.probe, cell.layer, cell.algorithm, cell.mode, cell.length, cell.width, cell.batch, options, conditions,
        cell.dtype, cell.device, cell.threads, cell.seed, cell.id,
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


def _laws(found: Sequence[Counted]) -> tuple[list[str], list[list[object]]]:
    """Return the counts' laws, each with the lengths that it reproduces."""
    header = ["layer", "algorithm", "width", "batch", "quantity", "unit", "law", "exact from T", "exact up to T"]
    lines: list[list[object]] = [
        [c.layer, c.algorithm, c.width, c.batch, name, quantity(name).unit, law.text(), *law.reach("T")]
        for c in found
        for name, law in c.laws.items()
    ]
    return header, lines


def _processors(found: Sequence[Counted]) -> tuple[list[str], list[list[object]]]:
    """Return work and span on the lengths of the figures, and between what the time on P processors lies."""
    header = ["layer", "algorithm", "length [tokens]", "extrapolated", "work [flop]", "ideal_span [steps]"]
    header += [f"T_{p} {end} [steps]" for p in PROCESSORS for end in ("low", "high")]
    lines: list[list[object]] = []
    for c in (c for c in found if c.missing is None):
        for n in grid():
            work, span = c.model.at(n)
            ends = [end for p in PROCESSORS for b in [bounds(work, span, p)] for end in (b.low, b.high)]
            line: list[object] = [c.layer, c.algorithm, n, c.model.extrapolates(n), work, span]
            lines.append([*line, *ends])
    return header, lines


def _crossings(found: Sequence[Counted]) -> tuple[list[str], list[list[object]]]:
    """Return, for each layer and number of processors, the lengths at which it or attention surely finishes first."""
    attention = attention_of(found)
    header = ["attention", "rival", "processors", "surely first", "from T [tokens]", "to T [tokens]"]
    lines: list[list[object]] = [
        [attention.name, rival.name, p, first or "open", start, end]
        for rival in found
        if attention is not None and not rival.attention and rival.missing is None
        for p in PROCESSORS
        for first, start, end in crossing(attention.model, rival.model, p, grid()).runs
    ]
    return header, lines


def _rooflines(found: Sequence[Roofline]) -> tuple[list[str], list[list[object]]]:
    header = [
        "layer", "algorithm", "threads", "batch", "length [tokens]", "intensity [flop/B]", "rate [flop/s]",
        "rate low [flop/s]", "rate high [flop/s]", "peak [flop/s]", "bandwidth [B/s]",
    ]  # fmt: skip
    lines: list[list[object]] = [
        [
            p.layer, p.algorithm, roof.threads, p.batch, p.length, p.intensity, p.rate, p.low, p.high, roof.peak,
            roof.bandwidth,
        ]
        for roof in found
        for p in roof.points
    ]  # fmt: skip
    return header, lines


def _calibration(found: Iterable[Check]) -> tuple[list[str], list[list[object]]]:
    """Return every comparison of every check; a check without any has one line."""
    header = ["check", "outcome", "passed", "error [tolerances]", "comparison", "measured", "known", "allowed"]
    lines: list[list[object]] = []
    for check in found:
        base: list[object] = [check.name, check.outcome, check.passed]
        lines += [[*base, c.error, c.what, c.measured, c.known, c.allowed] for c in check.comparisons] or [
            [*base, check.error, "", "", "", ""]
        ]
    return header, lines


def _means(found: Iterable[Kept]) -> tuple[list[str], list[list[object]]]:
    """Return each observed quantity as its mean over replicates, with Student's 95 % interval."""
    header = [*CELL_FIELDS, "quantity", "unit", "mean", "low", "high", "replicates"]
    lines: list[list[object]] = [
        [*_cell(one.row), name, seen.unit, point.y, point.low, point.high, len(seen.samples)]
        for one in found
        for name, seen in one.row.observations.items()
        if (point := one.point(name, 0.0)) is not None
    ]
    return header, lines


def _curves(found: Iterable[Kept]) -> tuple[list[str], list[list[object]]]:
    """Return every point of every curve of one probe's cells, with its interval."""
    header = [*CELL_FIELDS, "curve", "quantity", "unit", "by", "x", "mean", "low", "high", "replicates", "computed"]
    lines: list[list[object]] = [
        [
            *_cell(one.row), name, curve.quantity, quantity(curve.quantity).unit, curve.by, point.x, point.y, point.low,
            point.high, curve.replicates, curve.exact,
        ]
        for one in found
        for name, curve in one.profiles.curves.items()
        for point in one.points(name)
    ]  # fmt: skip
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
