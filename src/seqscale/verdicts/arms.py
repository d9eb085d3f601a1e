"""Universal sentences: several declared cells (arms), of which one can contradict and all must support."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from seqscale.fit.interval import Interval
from seqscale.fit.verdict import Decision, universal
from seqscale.verdicts.readings import record, text


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One declared cell: what it shows in words, its effect (95 % simultaneous over all arms), and what that says."""

    label: str
    effect: Interval
    decision: Decision


def decide(arms: Sequence[Arm]) -> Decision:
    """Return what the arms say together."""
    return universal([arm.decision for arm in arms])


def said(arms: Sequence[Arm]) -> str:
    """Write every arm with its effect; those that contradict say so."""
    words = {
        Decision.contradicted: ", which contradicts",
        Decision.undecided: ", open",
        Decision.supported: "",
    }
    return "; ".join(f"{arm.label}: {text(arm.effect)}{words[arm.decision]}" for arm in arms)


def records(arms: Sequence[Arm], unit: str) -> dict[str, Any]:
    """Return the arms as JSON-ready data."""
    found = [{"arm": a.label, "effect": record(a.effect, unit), "says": a.decision.name} for a in arms]
    return {"arms": found, "contradicting": [a.label for a in arms if a.decision is Decision.contradicted]}
