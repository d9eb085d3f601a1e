"""The section on P processors: what its script moves with the slider, and the kata's table beside the laws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seqscale.reporting.charts import LIGHT
from seqscale.reporting.laws import law_figures
from seqscale.reporting.model import Page
from seqscale.reporting.parallel import (
    DEFAULT,
    LARGEST,
    PROCESSORS,
    Counted,
    Schedule,
    attention_of,
    coloured,
    counted,
    grid,
    kata_rows,
    schedules,
)
from seqscale.reporting.roofline import Roofline, roofline_figures, rooflines
from seqscale.units import format_bandwidth, format_flop_rate

View = dict[str, Any]

KINDS = ("product", "pointwise", "reduction", "fused", "move")
_NAMED = {  # in this order: the name of fused attention speaks of a product too
    "fused": ("rnn", "lstm", "gru", "attention", "flash", "seqscale"),
    "product": ("mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "dot", "linear", "convolution"),
    "reduction": ("softmax", "sum", "mean", "amax", "amin", "max", "min", "norm", "var", "cumsum", "cumprod", "scan"),
}


def kind(operator: str, work: int) -> str:
    """Return which of KINDS an operator is, from its name ("aten.addmm.default" or "addmm")."""
    if work == 0:
        return "move"
    words = operator.lower().replace("::", "_").replace(".", "_").strip("_").split("_")
    return next((name for name, known in _NAMED.items() if set(known) & set(words)), "pointwise")


def section(page: Page) -> View | None:
    """Return what the section shows, or None where no claim asked for any of it."""
    found, drawn, roofs = counted(page), schedules(page), rooflines(page)
    attention = attention_of(found)
    others = [c for c in found if not c.attention and c.missing is None]
    race = bool(attention and others)
    places = {layer: i % len(LIGHT) for i, layer in enumerate(coloured(page, found))}
    if not (found or drawn or roofs):
        return None
    return {
        "where": _where(found),
        "absent": [(c.name, c.missing) for c in found if c.missing is not None],
        "race": race,
        "kata": _kata(attention, _usual(others)) if attention and others else None,
        "slider": race or bool(drawn),
        "largest": f"{LARGEST:,}",
        "default": DEFAULT,
        "kinds": KINDS,
        "recurrences": [s.name for s in drawn if not s.attention],
        "strips": bool(drawn),
        "roofs": [_roof(roof) for roof in roofs],
        "data": {
            "processors": PROCESSORS,
            "lengths": grid(),
            "attention": _curve(attention, places) if attention and others else None,
            "others": [_curve(one, places) for one in others] if attention else [],
            "schedules": [_schedule(one) for one in drawn],
        },
        "laws": [
            (c.name, [(name.replace("_", " "), law.text(), law.reach("T")) for name, law in c.laws.items()])
            for c in found
        ],
        "law_figures": law_figures(page, found),
        "roof_figures": roofline_figures(page),
    }


def _usual(others: Sequence[Counted]) -> Counted:
    """Return the recurrence that stands for the kata's: gru, as most who speak of one mean it, else the first."""
    return next((c for c in others if c.layer == "gru"), others[0])


def _where(found: Sequence[Counted]) -> str:
    return f"d = {found[0].width}, batch {found[0].batch}" if found else ""


def _curve(one: Counted, places: Mapping[str, int]) -> View:
    """Return a layer's laws on the grid of lengths, as the script needs them."""
    return {
        "name": one.name,
        "place": places[one.layer],
        "reach": one.reach,
        "work": [one.value("work", n) for n in grid()],
        "span": [one.value("ideal_span", n) for n in grid()],
    }


def _schedule(one: Schedule) -> View:
    kernels = [[kind(name, work), name, work, depth, waits] for name, work, depth, waits in one.kernels]
    return {"name": one.name, "attention": one.attention, "length": one.length, "kernels": kernels}


def _kata(attention: Counted, recurrence: Counted) -> View:
    """Return the kata's table beside the bounds by the laws, and what the kata's counts leave out."""
    rows = []
    for row in kata_rows():
        ours, theirs = (one.bounds(row.length, DEFAULT) for one in (recurrence, attention))
        rows.append(
            {
                "length": f"{row.length:,}",
                "kata": (f"{row.recurrence:,}", f"{row.attention:,}", f"{row.factor:.3g}x"),
                "counted": (
                    _between(ours.low, ours.high),
                    _between(theirs.low, theirs.high),
                    f"{ours.low / theirs.high:.3g}x to {ours.high / theirs.low:.3g}x",
                ),
            }
        )
    first, last = kata_rows()[0].length, kata_rows()[-1].length
    return {
        "recurrence": recurrence.name,
        "attention": attention.name,
        "rows": rows,
        "step": f"{recurrence.value('work', last) / last:,.0f}",
        "chain": f"{recurrence.value('ideal_span', last) / last:,.3g}",
        "pair": f"{attention.value('work', last) / last**2:,.0f}",
        "last": f"{last:,}",
        "first": first,
        "cut": first * first // DEFAULT + 1,
        "whole": f"{first * first / DEFAULT:g}",
        "true_factor": f"{DEFAULT / first:g}",
        "kata_factor": f"{kata_rows()[0].factor:g}",
    }


def _between(low: float, high: float) -> str:
    """Write two numbers as `1,204 to 1,310`, rounded outward to whole steps."""
    return f"{int(low):,} to {-int(-high // 1):,}"


def _roof(found: Roofline) -> View:
    return {
        "peak": format_flop_rate(found.peak),
        "bandwidth": format_bandwidth(found.bandwidth),
        "ridge": f"{found.ridge:.3g} flop/B",
        "threads": found.threads,
    }
