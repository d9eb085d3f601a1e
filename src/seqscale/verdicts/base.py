"""What a claim is, and what a judgement of it says."""

from __future__ import annotations

import abc
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from seqscale.records import SCOPE_UNITS, Cell, LayerSpec, Question
from seqscale.rows import Table
from seqscale.units import quantity


class Verdict(enum.Enum):
    """The three things that measurements can say of a claim."""

    supported = "the measurements support the sentence within its scope"
    contradicted = "the measurements contradict the sentence within its scope"
    undecided = "the measurements do not decide"


class Reason(enum.Enum):
    """Why a verdict is undecided. The value is the cause; `cure` says what would decide it."""

    budget = "cells that the claim needs were not measured"
    noise = "the interval straddles the bound"
    replicates = "the interval over draws of weights and data straddles the bound"
    training = "what was trained briefly and failed proves no inability"
    control = "the positive control failed: what must succeed did not"
    reach = "the lengths measured do not reach far enough"
    instrument = "the instrument failed its own check"
    law = "no exact law verifies for the counts, and a curve through counts proves no growth"
    unanswerable = "the layer cannot run the cells that the claim needs"

    @property
    def cure(self) -> str:
        """One sentence: what would decide it."""
        return {
            Reason.budget: "run --until this claim.",
            Reason.noise: "run --until this claim, or close what else runs on the machine.",
            Reason.replicates: "study full draws more.",
            Reason.training: "study full trains longer.",
            Reason.control: "the statement names it; study full trains longer.",
            Reason.reach: "measure longer --lengths.",
            Reason.instrument: "the evidence names the check that failed.",
            Reason.law: "other --lengths may show one; `seqscale trace` prints the counts.",
            Reason.unanswerable: "the cells' outcomes say why.",
        }[self]


class Stream(enum.Enum):
    """At which width of the stream a claim is asked."""

    study = "the widths of the study"
    widened = "the study's `state_width`, which the claim multiplies"
    tokens = "the study's `token_width`: one feature for each symbol"


class Kind(enum.Enum):
    """Which rule judges a claim."""

    average = "supported if the 95 % interval lies beyond delta"
    equivalence = "supported if the 90 % interval lies within delta; contradicted if the 95 % interval lies outside"
    universal = (
        "contradicted by one counterexample, exact or by an interval simultaneous over all cases; supported for the "
        "cases listed if each lies where the sentence says, which proves nothing beyond"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """One measured point of a curve with its 95 % interval (low = high = y for an exact count)."""

    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A measured curve and the law fitted to it: all that a figure and the table behind it need.

    Attributes:
        label: what is drawn ("gru/library forward").
        quantity: registered quantity on the y axis.
        x_name: what x counts ("length", "hidden", "width", "distance", "tokens", "pairs", "learning rate").
        points: measured, x rising.
        law: the fitted law as (x, y) pairs at the measured x; empty where none was fitted. Residuals are y / law - 1.
        law_text: the law in words ("8.1e-05 + 1.6e-05 T^1.00 [0.98, 1.02]"), or why there is none.
        exact: counts, drawn without a band.
    """

    label: str
    quantity: str
    x_name: str
    points: tuple[CurvePoint, ...]
    law: tuple[tuple[float, float], ...]
    law_text: str
    exact: bool = False

    def __post_init__(self) -> None:
        quantity(self.quantity)
        if not self.points:
            raise ValueError(f"curve {self.label}: it needs at least one point")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a claim says of one layer computed by one algorithm.

    Attributes:
        claim, takeaway, layer, algorithm: what was asked.
        verdict, reason: reason is given exactly when the verdict is undecided.
        statement: the sentence with its numbers, for a person.
        headline: one short figure for the first page ("T^1.00 [0.98, 1.02]").
        scope: where it holds (lengths, width, batch, dtype, device, threads, machine).
        evidence: numbers and checks behind it, JSON-ready; every number sits beside its unit.
        curves: what the figure draws.
        missing: cells that were not measured (budget) or have another outcome than ok.
    """

    claim: str
    takeaway: int
    layer: str
    algorithm: str
    verdict: Verdict
    reason: Reason | None
    statement: str
    headline: str
    scope: Mapping[str, Any]
    evidence: Mapping[str, Any]
    curves: tuple[Curve, ...] = ()
    missing: tuple[Cell, ...] = ()

    def __post_init__(self) -> None:
        if (self.verdict is Verdict.undecided) != (self.reason is not None):
            raise ValueError(f"{self.claim}: an undecided verdict needs a reason, and only an undecided one")

    def record(self) -> dict[str, Any]:
        """Return the judgement as JSON-ready data, in the shape that `seqscale claims --json` prints."""
        return {
            "claim": self.claim,
            "takeaway": self.takeaway,
            "layer": self.layer,
            "algorithm": self.algorithm,
            "verdict": self.verdict.name,
            "reason": None if self.reason is None else f"{self.reason.name}: {self.reason.value}; {self.reason.cure}",
            "statement": self.statement,
            "scope": {**self.scope, "units": SCOPE_UNITS},
            "evidence": dict(self.evidence),
        }


class AbstractClaim(abc.ABC):
    """A sentence that measurements can support or contradict, written down before it is measured.

    Class attributes are the registration: id, takeaway (1..4; 0 for the instruments themselves), sentence, kind,
    estimand, and delta, the smallest effect that matters, in the unit of the estimand.

        stream: at which width it is asked.
        every_algorithm: whether the answer depends on the algorithm; else it is asked once, of the layer's fastest.
        subject: what it is asked of in place of the layers, if not of them.
        costs: whether it is on time, memory or counts, which studies ask of their own choice of layers.
    """

    id: ClassVar[str]
    takeaway: ClassVar[int]
    sentence: ClassVar[str]
    kind: ClassVar[Kind]
    estimand: ClassVar[str]
    delta: ClassVar[float]
    stream: ClassVar[Stream] = Stream.study
    every_algorithm: ClassVar[bool] = True
    subject: ClassVar[LayerSpec | None] = None
    costs: ClassVar[bool] = True

    @abc.abstractmethod
    def applies(self, layer: LayerSpec) -> bool:
        """Whether the sentence says anything of this layer."""

    @abc.abstractmethod
    def requires(self, question: Question) -> tuple[Cell, ...]:
        """Return every cell that the judgement needs, each once."""

    @abc.abstractmethod
    def judge(self, question: Question, table: Table) -> Judgement:
        """Judge the claim on `table`; missing cells make it undecided, never an error."""
