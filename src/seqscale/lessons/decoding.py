"""What lessons 2 and 3 share: bits about tokens that a decoder finds in a state, by the probe `token-bits`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from seqscale.errors import UsageError
from seqscale.fit.interval import Interval
from seqscale.lessons.base import Number
from seqscale.lessons.bench import Looked, cell, gap
from seqscale.lessons.constants import LessonConstants
from seqscale.probes.information import SYMBOLS
from seqscale.records import Cell
from seqscale.rows import Row
from seqscale.verdicts.readings import UnreadError, at, curve_of, mean_of
from seqscale.verdicts.tokens import token_fault

Curves = Mapping[float, tuple[float, ...]]  # x -> the value of every replicate


def check_symbols(constants: LessonConstants) -> None:
    """Refuse inputs that the probe cannot have as kinds of tokens."""
    kinds = constants.kata.input_size
    if not SYMBOLS.low <= kinds <= SYMBOLS.high:
        raise UsageError(
            f"--input-size {kinds}: give a whole number from {SYMBOLS.low:g} to {SYMBOLS.high:g}: a token is one of so "
            "many kinds."
        )


def bits_cell(layer: Looked, constants: LessonConstants, length: int) -> Cell:
    """Return the cell that reads `length` tokens, each one of as many symbols as the kata has inputs."""
    return cell(
        "token-bits", layer, constants, length, symbols=constants.kata.input_size, sequences=constants.sequences,
        replicates=constants.replicates, noise=constants.noise,
    )  # fmt: skip


def curve(row: Row, name: str) -> Curves:
    """Return a curve of a row by its name in the document; empty where nothing can be said of the row."""
    if refused(row) is not None:
        return {}
    found = curve_of(row, name)
    return {x: at(row, found, x) for x in found.x}


def refused(row: Row) -> str | None:
    """Return why nothing is said of a row: not measured, or a control of the instrument failed; None: all is well."""
    if not row.ok:
        return gap(row)
    try:
        fault = token_fault([row])
    except UnreadError as error:
        return error.said
    return None if fault is None else f"{row.cell.layer}: the instrument's own control failed, {fault.said}"


def bits(name: str, values: Sequence[float] | None) -> Number | None:
    """Return bits with the 95 % interval of their mean over replicates; None where there are none."""
    return None if not values else number(name, "bit", mean_of(values))


def number(name: str, unit: str, interval: Interval) -> Number:
    """Return an interval as a number to show."""
    return Number(name=name, unit=unit, value=interval.value, low=interval.low95, high=interval.high95)


def how(constants: LessonConstants) -> str:
    """Say how bits are found."""
    kinds = constants.kata.input_size
    return (
        f"The instrument draws random tokens of {kinds} kinds, {constants.sequences:,} sequences for each of "
        f"{constants.replicates} networks, learns on some to read the tokens out of the state, and is scored on the "
        f"others. Noise of {constants.noise:g} of the state's spread is added before: without noise a single number "
        f"could hold any amount. To know which kind a token is takes {math.log2(kinds):.3g} bits; 0 is no better than "
        "guessing. Brackets are 95 % intervals."
    )
