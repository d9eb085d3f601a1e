"""The hourglass: bits that are read, bits that fit through a state, bits that were found; and the kata's own measure.

What fits is a bound for any size of state and any length; what was found is measured, and only where it was measured:
the page names the cell it comes from, at its own length where there is one, and interpolates between measured lengths
of one curve only.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from seqscale.reporting.charts import LIGHT
from seqscale.reporting.model import Page
from seqscale.reporting.remembered import Kept, kept, usual_size
from seqscale.theory.bounds import bits_that_fit

View = dict[str, Any]

BITS_EACH = {"float32": 32, "float64": 64, "bfloat16": 16}
SIZES = tuple(2**k for k in range(2, 13))  # numbers of the state that the slider can choose
LENGTHS = tuple(2**k for k in range(11))  # tokens
KATA_LENGTHS = (10, 100, 1000)  # the kata's own
DEFAULT = (16, 32)  # numbers, tokens

# Words of our own on the kata's subject: its first words, and its last.
SENTENCE = (
    "The treaty that was signed in 1648 after five years of talks in two towns by envoys who would not meet in one "
    "room and that few believed in ended the war"
)


def through_noise(numbers: int, noise: float) -> float:
    """Return N/2 log2(1 + 1/noise^2), the most bits that N numbers of any spread let through noise of that share of it.

    Derived: log det(I + C / s2) is largest, the total variance fixed, where all numbers have the same variance and are
    independent (theory.bounds.log_det_bits of a multiple of I).
    """
    return numbers / 2 * math.log2(1 + 1 / noise**2) if noise > 0 else math.inf


def fits(tokens: int, symbols: int, numbers: int, bits_each: int, noise: float) -> float:
    """Return the most bits about `tokens` tokens that a state of `numbers` numbers can hold, read through noise."""
    return float(bits_that_fit(tokens, symbols, numbers, bits_each, through_noise(numbers, noise)))


def hourglass(page: Page, layers: Sequence[str]) -> View | None:
    """Return what the hourglass and the sentence move, or None where no bits were measured.

    Args:
        page: what was found.
        layers: display names in the order of their colours.
    """
    found = _of_one_source([one for one in kept(page, "token-bits") if one.points("found")])
    if not found:
        return None
    symbols, noise = int(found[0].conditions["symbols"]), float(found[0].conditions["noise"])
    each = BITS_EACH[found[0].cell.dtype]
    sizes = {round(_sand(one)["numbers"]) for one in found if not _grows(one)}
    return {
        "symbols": symbols,
        "noise": noise,
        "each": each,
        "sizes": sorted({*SIZES, *sizes}),
        "lengths": sorted({*LENGTHS, *KATA_LENGTHS, *(one.cell.length for one in found)}),
        "default": DEFAULT,
        "layers": [
            {
                "name": name,
                "place": layers.index(name) % len(LIGHT),
                "grows": _grows(cells[0]),
                "cells": [_sand(one) for one in cells],
                "bits": {one.cell.length: _curve(one, "bits") for one in usual_size(cells)},
            }
            for name in dict.fromkeys(one.layer for one in found)
            for cells in [[one for one in found if one.layer == name]]
        ],
        "words": SENTENCE.split(),
    }


def _grows(one: Kept) -> bool:
    """Whether the state has numbers for each token."""
    return one.family == "attention"


def _of_one_source(found: Sequence[Kept]) -> list[Kept]:
    """Keep the cells of the source and noise that most cells have, so that all are held against one bound."""
    keys = [(one.conditions["symbols"], one.conditions["noise"], one.cell.dtype) for one in found]
    usual = Counter(keys).most_common(1)
    return [one for one, key in zip(found, keys, strict=True) if key == usual[0][0]]


def _sand(one: Kept) -> View:
    numbers = one.point("state_numbers", 0.0)
    return {"numbers": numbers.y if numbers else 0.0, "length": one.cell.length, **_curve(one, "found")}


def _curve(one: Kept, name: str) -> View:
    points, profile = one.points(name), one.profiles.curves[name]
    return {
        "n": profile.replicates,
        "x": [point.x for point in points],
        **{end: [round(getattr(point, end), 4) for point in points] for end in ("y", "low", "high")},
    }
