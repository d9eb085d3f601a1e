"""A survey as a person reads it in a terminal, and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

from seqscale.fit.law import ExactLaw
from seqscale.surveys.survey import Law, Survey
from seqscale.tracing.watch import OperatorCounts
from seqscale.units import format_count, format_value, quantity

WIDTH = 100  # columns
COLUMN = 14  # of a quantity's name
WORDS = {
    "work": "work W",
    "traffic_bytes": "traffic",
    "kernels": "kernels",
    "kernel_span": "kernel span",
    "ideal_span": "ideal span S",
    "saved_bytes": "kept (BPTT)",
    "predicted_peak_bytes": "peak",
}
TABLE = ("work", "kernels", "kernel_span", "ideal_span", "saved_bytes", "predicted_peak_bytes")
SHARES: tuple[tuple[str, Callable[[OperatorCounts], int]], ...] = (
    ("work", lambda o: o.work),
    ("kernels", lambda o: o.kernels),
    ("ideal_span", lambda o: o.steps),
    ("traffic_bytes", lambda o: o.traffic_bytes),
)
_MARKS = {"counted": "", "law": "", "extrapolated": "*"}


def survey_text(found: Survey) -> str:
    """Return laws, parallelism, what dominates, and the counts at the asked lengths."""
    how = "nothing executed" if found.executed is None else "counted on real runs"
    sizes = f"d = {found.asked.width}"
    if found.asked.hidden != found.asked.width:
        sizes += f", h = {found.asked.hidden}"
    head = f"{found.layer}/{found.algorithm} {found.mode}: {sizes}, batch {found.asked.batch}, {found.dtype}; "
    lines = [f"{head}{how} ({found.seconds:.1f} s)"]
    for cause in (*([found.executed] if found.executed else []), *_warnings(found)):
        lines += _wrapped(cause, "  ! ", "    ")
    shown = [name for name in found.laws if found.mode == "training" or name != "saved_bytes"]
    for name in shown:
        lines += _law_lines(found, found.laws[name])
    lines += _parallelism(found)
    lines += _heaviest(found)
    lines += _against_reference(found)
    return "\n".join([*lines, *_reach(found), "", *_table(found)]) + "\n"


def survey_record(found: Survey) -> dict[str, Any]:
    """Return the survey JSON-ready: laws, counts at the asked lengths, what is unknown; units beside."""
    units = {name: quantity(name).unit for name in WORDS} | {"length": "tokens", "parallelism": "flop/step"}
    return {
        "layer": found.layer,
        "algorithm": found.algorithm,
        "mode": found.mode,
        "sizes": {"B": found.asked.batch, "d": found.asked.width, "h": found.asked.hidden, "dtype": found.dtype},
        "laws": {name: _law_record(law) for name, law in found.laws.items()},
        "counts": [_count_record(found, length) for length in found.lengths],
        "dominates": {
            name: [{"operator": operator, "share": part, "unit": "1"} for operator, part in found.heaviest(share)[:5]]
            for name, share in SHARES
            if name in found.laws
        },
        "against_reference": _difference_record(found),
        "unknown_operators": list(found.unknown_operators),
        "lower_bound": bool(found.unknown_operators),
        "executed": found.executed,
        "notes": list(found.notes),
        "units": units,
        "wall": {"value": found.seconds, "unit": "s"},
    }


def _warnings(found: Survey) -> list[str]:
    said = list(found.notes)
    if found.unknown_operators:
        names = ", ".join(found.unknown_operators)
        said.append(f"no law for {names}: work, traffic and spans would be lower bounds and are left out")
    return said


def _law_lines(found: Survey, law: Law) -> list[str]:
    """Write one quantity's law; where none verifies, the exponent of its counts, and that it is a fit."""
    name, unit = WORDS[law.quantity], quantity(law.quantity).unit
    own = f"at B = {found.asked.batch}, d = {found.asked.width}"
    if law.over_batches is not None and law.from_batch <= found.asked.batch:
        texts = [_for_batches(law.over_batches, unit, law.from_batch)]
    elif law.over_sizes is not None:
        texts = [f"{law.over_sizes.text(unit)} at B = {found.asked.batch}"]
        texts += [] if law.over_batches is None else [_for_batches(law.over_batches, unit, law.from_batch)]
    elif law.over_length is not None:
        texts = [f"{law.over_length.text(unit)} {own}"]
    elif law.fitted is not None:
        texts = [f"no exact law verifies; fitted {law.fitted.text()} {unit} {own}"]
    else:
        texts = ["no law verifies"]
    heads = [f"  {name}", *[""] * len(texts)]
    lead = " " * (COLUMN + 4)
    return [
        line
        for head, text in zip(heads, texts, strict=False)
        for line in textwrap.wrap(f"{head:<{COLUMN + 2}}= {text}", WIDTH, subsequent_indent=lead)
    ]


def _for_batches(law: ExactLaw, unit: str, smallest: int) -> str:
    if smallest == 1:
        return law.text(unit)
    return f"{law.text(unit)}{' for' if law.since is None else ','} B >= {smallest}"


def _parallelism(found: Survey) -> list[str]:
    """Write W/S at the shortest and longest asked length."""
    ends = [(t, _ratio(found, t)) for t in dict.fromkeys((found.lengths[0], found.lengths[-1]))]
    said = [f"{format_count(ratio)}{mark} at T = {t:,}" for t, (ratio, mark) in ((t, r) for t, r in ends if r)]
    return [f"  {'parallelism':<{COLUMN}}= W/S = {', '.join(said)} [flop a step]"] if said else []


def _ratio(found: Survey, length: int) -> tuple[float, str] | None:
    work, span = found.value("work", length), found.value("ideal_span", length)
    if work is None or span is None or not span[0]:
        return None
    return work[0] / span[0], _MARKS[work[1]] or _MARKS[span[1]]


def _heaviest(found: Survey) -> list[str]:
    said = []
    for name, share in SHARES:
        if name in found.laws or name == "kernels":
            ranked = found.heaviest(share)[:3]
            said.append(f"{WORDS[name]}: " + ", ".join(f"{operator} {part:.0%}" for operator, part in ranked))
    at = f"at T = {max(found.counts):,}"
    return _wrapped(f"{'; '.join(said)} ({at})", f"  {'dominated by':<{COLUMN}}  ", " " * (COLUMN + 4)) if said else []


def _against_reference(found: Survey) -> list[str]:
    """Say how much more or less work the algorithm does than `reference`, and in which operators."""
    seen = found.difference
    if seen is None or found.unknown_operators:
        return []
    more = seen.work - seen.reference_work
    parts = [f"{name} {_more(kernels)} kernels, {_more(work)} flop" for name, kernels, work in seen.operators[:6]]
    rest = len(seen.operators) - len(parts)
    said = f"at T = {seen.length} the work is {_more(more)} flop ({more / max(1, seen.reference_work):+.1%}): "
    said += "; ".join(parts) + (f"; {rest} more" if rest > 0 else "") if parts else "the same operators"
    return _wrapped(said, f"  {'against':<{COLUMN}}  reference, ", " " * (COLUMN + 4))


def _more(value: int) -> str:
    return f"{value:+,}" if value else "0"


def _reach(found: Survey) -> list[str]:
    """Say for which lengths the laws were verified, and at which they were held out."""
    laws = [law.over_length for law in found.laws.values() if law.over_length is not None]
    if not laws:
        return []
    shortest = max(law.reach("T")[0] for law in laws if law.since is None or all(each.since for each in laws))
    longest = min(law.reach("T")[1] for law in laws)
    held_out = sorted(set.intersection(*({dims["T"] for dims in law.verified_at} for law in laws)))
    said = f"exact for T = {shortest:,}..{longest:,}; solved without, and found at, T = "
    said += ", ".join(f"{t:,}" for t in held_out[-4:])
    if any(law.extrapolates(T=found.lengths[-1]) for law in laws):
        said += "; * extrapolated beyond"
    lines = _wrapped(said, "  ")
    wide = [law.over_batches or law.over_sizes for law in found.laws.values()]
    for name in ("d", "h", "B"):
        ranges = [law.holds_for[name] for law in wide if law is not None and name in law.holds_for]
        if ranges and max(high for _, high in ranges) > min(low for low, _ in ranges):
            low, high = max(low for low, _ in ranges), max(high for _, high in ranges)
            lines += [f"  laws in {name}: found at sizes of {name} from {low} to {high}; beyond, extrapolated"]
    return lines


def _table(found: Survey) -> list[str]:
    """Write what is known at each asked length; `*` marks what a law says beyond the lengths it was verified at."""
    names = [n for n in TABLE if (n in found.laws or not found.lawful)]
    names = [n for n in names if found.mode == "training" or n != "saved_bytes"]
    rows = [["T", *(WORDS[name] for name in names), "W/S"]]
    for length in found.lengths:
        row = [f"{length:,}"]
        for name in names:
            known = found.value(name, length)
            row.append("-" if known is None else format_value(name, known[0]).split(" kernels")[0] + _MARKS[known[1]])
        ratio = _ratio(found, length)
        rows.append([*row, "-" if ratio is None else format_count(ratio[0]) + ratio[1]])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  " + "  ".join(f"{cell:>{w}}" for cell, w in zip(row, widths, strict=True)) for row in rows]


def _law_record(law: Law) -> dict[str, Any]:
    record: dict[str, Any] = {"unit": quantity(law.quantity).unit, "law": None, "exact": False, "verified_at": []}
    if law.over_length is not None:
        record |= law.over_length.record()
    elif law.fitted is not None:
        record["law"] = f"fitted: {law.fitted.text()}"
    if law.over_sizes is not None:
        record["over_sizes"] = law.over_sizes.record()
    if law.over_batches is not None:
        record["over_batches"] = law.over_batches.record() | {"from_batch": law.from_batch}
    return record


def _count_record(found: Survey, length: int) -> dict[str, Any]:
    record: dict[str, Any] = {"length": length}
    for name in (*TABLE, "traffic_bytes"):
        known = found.value(name, length)
        short = "peak_bytes" if name == "predicted_peak_bytes" else name
        record[short] = None if known is None else known[0]
    ratio = _ratio(found, length)
    record["parallelism"] = None if ratio is None else ratio[0]
    every = [found.value(name, length) for name in found.laws]
    record["extrapolated"] = any(k is not None and k[1] == "extrapolated" for k in every)
    return record


def _difference_record(found: Survey) -> dict[str, Any] | None:
    seen = found.difference
    if seen is None:
        return None
    operators = [{"operator": name, "kernels": kernels, "work": work} for name, kernels, work in seen.operators]
    works = {"work": seen.work, "reference_work": seen.reference_work}
    return {"length": seen.length, **works, "more": operators, "units": {"work": "flop", "kernels": "kernels"}}


def _wrapped(text: str, first: str, rest: str | None = None) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=first if rest is None else rest)
