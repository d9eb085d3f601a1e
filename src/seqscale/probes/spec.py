"""What the desk knows of a probe, without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from seqscale.probes.conditions import Condition, Conditions, settle
from seqscale.records import Option


def any_sizes(conditions: Mapping[str, Option], length: int, width: int) -> None:
    """Refuse nothing: the conditions of a probe go together whatever they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSpec:
    """What the desk knows of a probe.

    Attributes:
        name, sentence: for `seqscale list probes`.
        version: rises when its numbers may change.
        modes: those of a cell that it can measure; the first is the default.
        quantities: what it may yield.
        subject: "layer", "machine" or "instrument": what it measures.
        conditions: what it fixes beside the sizes of a cell.
        check: raises UsageError for conditions, length and width that cannot be together.
    """

    name: str
    version: int
    modes: tuple[str, ...]
    quantities: tuple[str, ...]
    sentence: str
    subject: str = "layer"
    conditions: tuple[Condition, ...] = ()
    check: Callable[[Mapping[str, Option], int, int], None] = any_sizes

    def settle(self, given: Mapping[str, Option], length: int, width: int) -> Conditions:
        """Return all conditions of a cell: those given, checked, and the defaults of the others."""
        settled = settle(self.name, self.conditions, given)
        self.check(dict(settled), length, width)
        return settled
