"""Claims on segments: what crosses from one to the next is the state, and what can be retrieved of it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import final

from seqscale.fit.verdict import at_most, equivalence
from seqscale.records import Cell, LayerSpec, Question
from seqscale.rows import Row
from seqscale.verdicts import arms
from seqscale.verdicts.arms import Arm
from seqscale.verdicts.base import Kind, Reason
from seqscale.verdicts.calibration import Fault
from seqscale.verdicts.readings import curve_of, drawn, mean_seen, record, text, values_of
from seqscale.verdicts.replicated import AbstractReplicated, Finding, information_cell
from seqscale.verdicts.retrieval import ATTENTION, SMALL, above_keyless, inability_fault, trained_cell
from seqscale.verdicts.tokens import growth_share, over_bound, token_conditions

LENGTH = 64  # tokens, cut in the middle
OLDER, NEWER = 16, 32  # tokens of the first segment between which it must add what it holds
LARGEST_SWAP = 0.05  # bits per token about one's own first segment, after its state was swapped
ROUNDING: Mapping[str, float] = MappingProxyType({"float64": 1e-12, "float32": 1e-6, "bfloat16": 1e-2})


@final
class Funnel(AbstractReplicated):
    """Carrying the state over is one pass in two parts; what the first part leaves is what its state holds."""

    id = "segments.funnel"
    takeaway = 2
    sentence = "Segments with a carried state still funnel all of the past through the fixed state."
    kind = Kind.equivalence
    estimand = (
        "share of the bits read between 16 and 32 tokens of a segment that its carried state tells more, against 0"
    )
    delta = 0.05
    unit = "1"
    checks = ("segments", "token-bits")

    def applies(self, layer: LayerSpec) -> bool:
        """Every layer; one that cannot carry a state is `unsupported`."""
        return True

    def cells(self, question: Question) -> tuple[Cell, ...]:
        """Return the one cell."""
        return (information_cell(question, "segments", LENGTH, token_conditions(question)),)

    def find(self, question: Question, rows: tuple[Row, ...], beside: tuple[Row, ...]) -> Finding:
        """Judge the growth of what the carried state tells."""
        (row,) = rows
        found, bound = curve_of(row, "found"), curve_of(row, "bound")
        growth = growth_share(row, found, OLDER, NEWER)
        swap, total = mean_seen(row, "swap_bits"), mean_seen(row, "token_bits")
        worst = {name: max(values_of(row, name)) for name in ("identity_error", "swap_error")}
        most = mean_seen(row, "bound_bits")
        return Finding(
            decision=equivalence(growth.low90, growth.high90, growth.low95, growth.high95, 0.0, self.delta),
            statement=(
                f"of the bits read from token {OLDER + 1} to {NEWER} of the first segment the carried state tells "
                f"{text(growth)} more, {text(total, 'bit')} in all (at most {most.value:.4g} fit); two segments and "
                f"one pass differ by {worst['identity_error']:.1e}; with another's state the outputs follow it to "
                f"{worst['swap_error']:.1e} and tell {text(swap, 'bit')} per token of their own first segment"
            ),
            headline=f"{total.value:.3g} bit cross",
            evidence={
                "growth": record(growth, "1"),
                "found": record(total, "bit"),
                "bound": record(most, "bit"),
                "swap_bits": record(swap, "bit"),
                **{name: {"value": value, "unit": "1"} for name, value in worst.items()},
            },
            curves=(drawn(question, found, "found"), drawn(question, bound, "bound")),
            fault=_leak(row),
        )


def _leak(row: Row) -> Fault | None:
    """Return what shows that something else than the state crosses, or that carrying it is no identity."""
    allowed = ROUNDING[row.cell.dtype]
    for name in ("identity_error", "swap_error"):
        worst = max(values_of(row, name))
        if worst > allowed:
            said = f"{name} is {worst:.2g}, where rounding explains {allowed:.0e}"
            return Fault(reason=Reason.instrument, said=said, evidence={name: {"value": worst, "unit": "1"}})
    swap = mean_seen(row, "swap_bits")
    if swap.high95 >= LARGEST_SWAP:
        said = f"after the state was swapped up to {swap.high95:.2g} bit per token of the own first segment are found"
        return Fault(reason=Reason.instrument, said=said, evidence={"swap_bits": record(swap, "bit")})
    return over_bound(row)


@final
class NoRetrieval(AbstractReplicated):
    """Values asked for in the second segment, their keys read in the first."""

    id = "segments.no-retrieval"
    takeaway = 2
    sentence = "With segments there is no way to retrieve from an earlier one, though the state is carried."
    kind = Kind.universal
    estimand = "accuracy less that without the keys, pairs read in the segment before the queries, state carried"
    delta = 0.1
    unit = "1"
    checks = ("training",)

    def applies(self, layer: LayerSpec) -> bool:
        """Every layer; what attention carries are keys and values."""
        return True

    def cells(self, question: Question) -> tuple[Cell, ...]:
        """Return recall of few pairs, trained."""
        return (trained_cell(question, SMALL),)

    def beside(self, question: Question) -> tuple[Cell, ...]:
        """Return the control: attention, whose keys and values are carried."""
        return (trained_cell(question, SMALL, ATTENTION),)

    def find(self, question: Question, rows: tuple[Row, ...], beside: tuple[Row, ...]) -> Finding:
        """Judge the accuracy across the boundary."""
        (row,), (control,) = rows, beside
        effect = above_keyless(row, "carried_accuracy")
        arm = Arm(
            label="state carried, accuracy above that without keys", effect=effect,
            decision=at_most(effect.high90, effect.low95, self.delta),
        )  # fmt: skip
        decision = arms.decide([arm])
        carried, reset = (mean_seen(row, f"{how}_accuracy") for how in ("carried", "reset"))
        evidence = arms.records([arm], self.unit)
        evidence |= {"carried": record(carried, "1"), "reset": record(reset, "1")}
        statement = f"{arms.said([arm])}; accuracy {text(carried)}, with the state dropped {text(reset)}"
        if control.ok:
            kept = mean_seen(control, "carried_accuracy")
            statement += f"; attention with its keys and values carried {text(kept)}"
            evidence["control"] = record(kept, "1")
        return Finding(
            decision=decision,
            statement=statement,
            headline=f"{effect.value:.2f} above keyless, carried",
            evidence=evidence,
            curves=(drawn(question, curve_of(row, "accuracy by distance"), "by distance"),),
            fault=inability_fault(question, decision, beside, "carried_accuracy"),
        )
