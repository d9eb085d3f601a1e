"""The claim that a wider state remembers more: bits found in a state, and in one twice as wide."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final

from seqscale.fit.interval import Interval
from seqscale.records import Cell, LayerSpec, Question
from seqscale.rows import Row
from seqscale.verdicts.base import Curve, CurvePoint, Kind, Reason
from seqscale.verdicts.calibration import Fault
from seqscale.verdicts.readings import UnreadError, mean_of, mean_seen, record, text, values_of
from seqscale.verdicts.replicated import SYMBOLS, AbstractReplicated, Finding, information_cell, state_hidden
from seqscale.verdicts.tokens import LONG, token_cell, token_fault

# The kata's own sizes, in a full study: three bits a token make 256 tokens 768 bits, more than 512 numbers were seen to
# hold; fewer sequences and draws than elsewhere, since a gated layer of 1,024 units needs minutes for these.
KATA_HIDDEN = (512, 1024)
KATA_LENGTH, KATA_SEQUENCES, KATA_REPLICATES = 256, 3000, 3
LEAST_FOUND = 0.5  # bits from which a ratio says something


@final
class CapacityGrows(AbstractReplicated):
    """Bits found, in powers of the numbers of the state."""

    id = "width.capacity-grows"
    takeaway = 2
    sentence = "A state twice as wide remembers at least 1.4 times the bits: they grow as N^0.5 or faster."
    kind = Kind.average
    estimand = "log2 of the ratio of the bits found after 100 tokens over log2 of the ratio of the state's numbers"
    delta = 0.5
    unit = "1"
    checks = ("token-bits",)

    def applies(self, layer: LayerSpec) -> bool:
        """Layers whose state can be widened alone."""
        return layer.widen == "hidden"

    def cells(self, question: Question) -> tuple[Cell, ...]:
        """Return the cells of the narrow and the wide state."""
        return tuple(token_cell(question, LONG, times * state_hidden(question, SYMBOLS)) for times in (1, 2))

    def beside(self, question: Question) -> tuple[Cell, ...]:
        """Return, in a full study, the cells of the kata's own sizes."""
        if question.scope.extent != "full":
            return ()
        given = {"symbols": SYMBOLS, "sequences": KATA_SEQUENCES, "replicates": KATA_REPLICATES}
        return tuple(
            information_cell(question, "token-bits", KATA_LENGTH, given, hidden=hidden) for hidden in KATA_HIDDEN
        )

    def find(self, question: Question, rows: tuple[Row, ...], beside: tuple[Row, ...]) -> Finding:
        """Judge the exponent, paired by replicate; the kata's own sizes are said beside it, where they are measured."""
        kata = beside if beside and all(row.ok for row in beside) else ()
        least = min(min(values_of(row, "token_bits")) for row in rows)
        fault = token_fault((*rows, *kata))
        if fault is None and least < LEAST_FOUND:
            said = f"in a draw {least:.2g} bit is found, less than {LEAST_FOUND:g}: there is no ratio to speak of"
            fault = Fault(reason=Reason.control, said=said)
        exponent = _exponent(rows)
        decision, more = self.by_average(exponent)
        statement = f"bits found grow as N^{text(exponent)}: {_from_to(rows)}{more}"
        evidence = {"exponent": record(exponent, "1")}
        if kata:
            statement += f"; at the kata's sizes as N^{text(_exponent(kata))}: {_from_to(kata)}"
            evidence["kata_exponent"] = record(_exponent(kata), "1")
        return Finding(
            decision=decision,
            statement=statement,
            headline=f"bits N^{exponent.value:.2f}",
            evidence=evidence,
            curves=tuple(_curve(question, pair) for pair in (rows, kata) if pair),
            fault=fault,
        )


def _exponent(rows: Sequence[Row]) -> Interval:
    """Return how the bits of two rows grow with the numbers of their states.

    Raises:
        UnreadError: the states have as many numbers.
    """
    narrow, wide = (values_of(row, "state_numbers")[0] for row in rows)
    if not wide > narrow > 0:
        raise UnreadError(Reason.instrument, f"the state has {narrow:g} numbers, widened {wide:g}")
    few, many = ([max(bits, LEAST_FOUND) for bits in values_of(row, "token_bits")] for row in rows)
    octaves = math.log2(wide / narrow)
    return mean_of([math.log2(b / a) / octaves for a, b in zip(few, many, strict=True)])


def _from_to(rows: Sequence[Row]) -> str:
    bits = (text(mean_seen(row, "token_bits"), "bit") for row in rows)
    return " to ".join(
        f"{b} in {values_of(row, 'state_numbers')[0]:g} numbers" for b, row in zip(bits, rows, strict=True)
    )


def _curve(question: Question, rows: Sequence[Row]) -> Curve:
    """Return bits found against hidden units."""
    points = []
    for row in rows:
        hidden, bits = dict(row.cell.options)["hidden"], mean_seen(row, "token_bits")
        points.append(CurvePoint(x=float(hidden), y=bits.value, low=bits.low95, high=bits.high95))
    return Curve(
        label=f"{question.layer.name}/{question.algorithm} T={rows[0].cell.length}",
        quantity="token_bits",
        x_name="hidden",
        points=tuple(points),
        law=(),
        law_text="two sizes: a ratio, no law",
    )
