"""The claim that gradients cut off after k tokens cannot teach what lies further back (probe truncation, E6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import final

from seqscale.fit.verdict import Decision, at_most
from seqscale.records import Cell, LayerSpec, Option, Question
from seqscale.rows import Row
from seqscale.theory.baselines import truncation_ceiling
from seqscale.verdicts import arms
from seqscale.verdicts.arms import Arm
from seqscale.verdicts.base import Curve, Kind, Reason
from seqscale.verdicts.calibration import Fault
from seqscale.verdicts.readings import figure_of, mean_of, mean_seen, text, values_of
from seqscale.verdicts.replicated import AbstractReplicated, Finding, control_fault, information_cell, state_hidden

# L; numbers of the state, and the width, as a readout sees no more of the state than its outputs; tokens of a stream
LAG, HIDDEN, LENGTH = 12, 32, 128
BUDGET: Mapping[str, Mapping[str, Option]] = MappingProxyType(
    {
        "quick": {"sequences": 64, "replicates": 3},
        "full": {"steps": 2000, "rates": "0.001,0.003,0.01", "sequences": 64, "replicates": 5},
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """How a stream is cut: window k, the state between windows, what is trained; and at which sizes and budget.

    `hidden`: numbers of the state where they are an option of the layer; None: what the user says, else HIDDEN.
    """

    window: int
    boundary: str
    trained: str
    lag: int = LAG
    hidden: int | None = None
    length: int = LENGTH
    budget: tuple[tuple[str, Option], ...] = ()

    def label(self) -> str:
        """Name the arm."""
        states = {"carry": "state carried", "reset": "state reset"}
        what = {"readout": "only the readout trained", "all": "all trained"}
        return f"L = {self.lag}, k = {self.window}, {states[self.boundary]}, {what[self.trained]}, R^2"


READOUT_CUTS = (
    Cut(window=1, boundary="carry", trained="readout", length=64),
    Cut(window=8, boundary="reset", trained="readout", length=64),
)
TRAINED_CUTS = (
    Cut(window=4, boundary="carry", trained="all"),
    Cut(window=4, boundary="reset", trained="all"),
)
# The kata's own window, 256 tokens; one rate and few steps, as a gated layer of 512 units needs minutes for these.
_KATA_BUDGET = (("steps", 200), ("rates", "0.001"), ("sequences", 16), ("replicates", 3))
KATA_CUTS = tuple(
    Cut(lag=300, window=256, boundary="carry", trained=what, hidden=512, length=768, budget=_KATA_BUDGET)
    for what in ("readout", "all")
)
# A quick study trains readouts only, by least squares: what contradicts the sentence, but nothing that supports it.
CUTS: Mapping[str, tuple[Cut, ...]] = MappingProxyType(
    {"quick": READOUT_CUTS, "full": READOUT_CUTS + TRAINED_CUTS + KATA_CUTS}
)
WHOLE = Cut(window=32, boundary="carry", trained="all")  # the control: the window holds the lag


def cut_cell(question: Question, cut: Cut) -> Cell:
    """Return the cell of one arm."""
    given = {
        **BUDGET[question.scope.extent], **dict(cut.budget),
        "lag": cut.lag, "window": cut.window, "boundary": cut.boundary, "trained": cut.trained,
    }  # fmt: skip
    hidden = state_hidden(question, HIDDEN) if cut.hidden is None else cut.hidden
    return information_cell(question, "truncation", cut.length, given, width=HIDDEN, hidden=hidden)


@final
class CapsLearning(AbstractReplicated):
    """Arms whose window is shorter than the lag, gated by one whose window is not."""

    id = "truncation.caps-learning"
    takeaway = 3
    sentence = "With gradients truncated to a window, nothing beyond the window can be learned."
    kind = Kind.universal
    estimand = "R^2 of the input L tokens ago, window k < L, every declared cell, against delta"
    delta = 0.1
    unit = "1"
    checks = ("truncation", "training")

    def applies(self, layer: LayerSpec) -> bool:
        """Recurrent layers, and a user's own."""
        return layer.family in ("recurrent", "own")

    def cells(self, question: Question) -> tuple[Cell, ...]:
        """Return the arms whose window is shorter than the lag."""
        return tuple(cut_cell(question, cut) for cut in CUTS[question.scope.extent])

    def beside(self, question: Question) -> tuple[Cell, ...]:
        """Return the control, where more than readouts is trained."""
        return () if question.scope.extent == "quick" else (cut_cell(question, WHOLE),)

    def find(self, question: Question, rows: tuple[Row, ...], beside: tuple[Row, ...]) -> Finding:
        """Judge every arm by its R^2."""
        declared, by_cell = self.cells(question), {row.cell: row for row in rows}
        found = {}
        for cell, cut in zip(declared, CUTS[question.scope.extent], strict=True):
            if cell in by_cell:
                r2 = mean_seen(by_cell[cell], "r2", len(declared))
                found[cut] = Arm(label=cut.label(), effect=r2, decision=at_most(r2.high90, r2.low95, self.delta))
        tried = tuple(found.values())
        decision = arms.decide(tried)
        held, fault = "", None
        if decision is Decision.supported:
            fault = Fault(reason=Reason.training, said="only readouts were trained, which proves no inability")
        for control in beside:
            reached = values_of(control, "r2") if control.ok else None
            held = "" if reached is None else f"; control, k = {WHOLE.window}: {text(mean_of(reached))}"
            fault = control_fault(control, reached, "R^2") if decision is Decision.supported else None
        best = max(tried, key=lambda arm: arm.effect.value)
        return Finding(
            decision=decision,
            statement=arms.said(tried) + held + _restricted(found),
            headline=f"R^2 {best.effect.value:.2f} beyond the window",
            evidence=arms.records(tried, self.unit),
            curves=_by_rate(question, (*rows, *(row for row in beside if row.ok))),
            fault=fault,
        )


def _restricted(found: Mapping[Cut, Arm]) -> str:
    """Say what does hold: without the state beyond the window, and of paths that training must create."""
    said = []
    for cut, arm in found.items():
        if arm.decision is not Decision.supported:
            continue
        if cut.boundary == "reset":
            most = float(truncation_ceiling(cut.lag, cut.window))
            said.append(f"with the state reset nothing beyond the window is learned (at most R^2 {most:g} can be)")
        elif cut.trained == "all":
            said.append(f"with it carried, training with k = {cut.window} creates no path of {cut.lag} tokens")
    return f"; what holds: {', '.join(said)}" if said else ""


def _by_rate(question: Question, rows: tuple[Row, ...]) -> tuple[Curve, ...]:
    """Return R^2 against the learning rate, of each arm that trains more than the readout."""
    curves: list[Curve] = []
    for row in rows:
        given = dict(row.cell.conditions)
        if given["trained"] == "all":
            label = f"{given['boundary']} k={given['window']} L={given['lag']}"
            curves += figure_of(question, row, "r2 by rate", label)
    return tuple(curves)
