"""What the claims on bits about tokens share: their cells, and what shows that the bits cannot be trusted (E3)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

from seqscale.fit.interval import Interval, student_quantile
from seqscale.profiles import Profile
from seqscale.records import Cell, LayerSpec, Option, Question
from seqscale.rows import Row
from seqscale.verdicts.base import Reason
from seqscale.verdicts.calibration import Fault
from seqscale.verdicts.readings import at, curve_of, mean_of, paired, record, text, values_of
from seqscale.verdicts.replicated import REPLICATES, SYMBOLS, AbstractReplicated, information_cell

SHORT, LONG = 32, 100  # tokens
SEQUENCES: Mapping[str, int] = MappingProxyType({"quick": 3000, "full": 8000})
# Of a layer whose state grows: 1,600 numbers after 100 tokens cost ten times what 16 do, and its draws hardly differ.
GROWING: Mapping[str, int] = MappingProxyType({"quick": 3, "full": 5})
BITS = math.log2(SYMBOLS)
SURE = 0.99994  # level at which a control above zero is a fault: four standard deviations


def token_cell(question: Question, length: int, hidden: int | None = None) -> Cell:
    """Return the cell of token-bits at one length; the claims of this room share it."""
    return information_cell(question, "token-bits", length, token_conditions(question), hidden=hidden)


def token_conditions(question: Question) -> dict[str, Option]:
    """Return the conditions of a probe that decodes tokens."""
    extent, count = question.scope.extent, GROWING if question.layer.family == "attention" else REPLICATES
    return {"symbols": SYMBOLS, "sequences": SEQUENCES[extent], "replicates": count[extent]}


def token_fault(rows: Sequence[Row]) -> Fault | None:
    """Return what shows that the bits of a row cannot be trusted: a control above zero, a bound exceeded."""
    for row in rows:
        for control in ("shuffled_bits", "leaked_bits"):
            low = surely_above(values_of(row, control))
            if low > 0:
                said = f"control: {control} of {row.cell.label()} are not zero but above {low:.2g} bit"
                return Fault(reason=Reason.instrument, said=said, evidence={"control": control})
        fault = over_bound(row)
        if fault is not None:
            return fault
    return None


def over_bound(row: Row) -> Fault | None:
    """Return where more bits were found than the state can hold, beyond an interval simultaneous over all lengths."""
    found, bound = curve_of(row, "found"), curve_of(row, "bound")
    for x in found.x:
        over = paired(at(row, found, x), at(row, bound, x), len(found.x))
        if over.low95 > 0:
            said = f"{row.cell.label()}: {text(over, 'bit')} more than can be are found after {x:g} tokens"
            return Fault(reason=Reason.instrument, said=said, evidence={"over": record(over, "bit")})
    return None


def surely_above(values: Sequence[float]) -> float:
    """Return what the mean surely lies above.

    Only above: a decoder that finds nothing loses a little on held-out sequences, and a lower bound may lie below zero.
    """
    interval = mean_of(values)
    error = (interval.high95 - interval.value) / student_quantile(0.95, len(values) - 1)
    return interval.value - student_quantile(SURE, len(values) - 1) * error


class AbstractTokens(AbstractReplicated):
    """A claim on one cell of token-bits."""

    takeaway = 2
    checks = ("token-bits",)
    length: ClassVar[int]

    def applies(self, layer: LayerSpec) -> bool:
        """Every layer; one without a state to read is `unsupported`."""
        return True

    def cells(self, question: Question) -> tuple[Cell, ...]:
        """Return the one cell."""
        return (token_cell(question, self.length),)


def growth_share(row: Row, found: Profile, older: int, newer: int) -> Interval:
    """Return how much of what is read between two numbers of tokens is found in the state besides what was there."""
    read = (newer - older) * BITS
    pairs = zip(at(row, found, newer), at(row, found, older), strict=True)
    return mean_of([(after - before) / read for after, before in pairs])
