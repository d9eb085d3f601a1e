"""Claims on training memory: what is kept for the backward pass, by exact counts, checked against the measured peak."""

from __future__ import annotations

import abc
import itertools
from dataclasses import dataclass
from typing import Any, final

from seqscale.fit.exact import ExactLaw, exact_law
from seqscale.fit.power import PowerFit, fit_power
from seqscale.fit.verdict import Decision, average, equivalence
from seqscale.probes.catalogue import PROBES
from seqscale.records import Cell, LayerSpec, Question
from seqscale.rows import Row, Table
from seqscale.units import format_bytes
from seqscale.verdicts.base import AbstractClaim, Curve, Judgement, Kind, Reason, Verdict
from seqscale.verdicts.common import (
    FEWEST_LENGTHS,
    curve_points,
    degree,
    judgement,
    loop_lengths,
    points_of,
    undecided_for_cells,
    untimed_launcher,
)

# Where the exact laws are solved: three sizes for each degree up to two. Memory cells at the scope's own lengths are
# held out: a law that is exact only below some block size fails there. A batch of 1 often takes a path of its own (a
# view where others copy), so the law over batches is solved from 2 and 3 and held out at 5, beside that of the scope.
LAW_LENGTHS = (2, 3, 5)
LAW_BATCHES = (2, 3)
HELD_OUT_BATCH = 5

# The kata's own example: 10,000 steps of 1024 units in float32, then 24 layers and 32 sequences.
EXAMPLE_LENGTH, EXAMPLE_WIDTH, EXAMPLE_LAYERS, EXAMPLE_BATCH = 10_000, 1024, 24, 32
KATA_BYTES = EXAMPLE_LENGTH * EXAMPLE_WIDTH * 4

CLOSE = 0.02  # how far a fitted law may be off any count: oneDNN rounds its workspace up to whole pages
AGREEMENT, AGREEMENT_BYTES = 0.10, 2 * 2**20  # measured and explained peak agree within either of the two


class AbstractTrainingMemory(AbstractClaim):
    """Judges the exponent of saved bytes: exact where a law verifies, fitted to the counts where none does."""

    delta = 0.02

    @abc.abstractmethod
    def decide(self, p: PowerFit | float) -> Decision:
        """Decide on the exponent: the exact degree in T, or a fit with its interval."""

    def requires(self, question: Question) -> tuple[Cell, ...]:
        """Return the small counts that the law is solved from, and memory cells at the scope's lengths."""
        return (*_law_cells(question), *_memory_cells(question))

    def judge(self, question: Question, table: Table) -> Judgement:
        """Judge the exponent; a measured peak that the counts do not explain leaves it undecided.

        Law cells of other widths that the layer refuses are done without: the law is then over T alone.
        """
        rows = table.rows_of(self.requires(question))
        waiting = any(row.outcome is None for row in rows)
        counted = tuple(row for row in rows if "saved_bytes" in row.observations)
        memory = tuple(row for row in counted if row.cell.probe == "memory")
        if waiting or len(memory) < FEWEST_LENGTHS:
            return undecided_for_cells(self, question, rows)
        if not all(row.observations["saved_bytes"].value for row in memory):
            said = "nothing is saved for the backward pass: no parameter and no input asks for a gradient"
            return judgement(self, question, Verdict.undecided, said, reason=Reason.unanswerable)
        laws = _laws(question, counted, memory)
        agrees, agreement = _agreement(memory)
        verdict = Verdict[self.decide(laws.exponent).name] if agrees else Verdict.undecided
        reason = None
        if agrees and not _close(laws, memory):
            said = f"saved bytes = {laws.text()}, more than {CLOSE:.0%} off the counts: it proves no growth"
            return judgement(
                self, question, Verdict.undecided, said, reason=Reason.law, evidence=_evidence(laws, memory)
            )
        if verdict is Verdict.undecided:
            reason = Reason.noise if agrees else Reason.instrument
        example = _example(laws)
        p = laws.exponent
        headline = f"saved T^{p.p:.2f}" if isinstance(p, PowerFit) else f"saved T^{p:.3g}, exact"
        return judgement(
            self,
            question,
            verdict,
            "; ".join((f"saved bytes = {laws.text()}", *example.values(), agreement)),
            reason=reason,
            headline=headline,
            evidence=_evidence(laws, memory) | example | {"agreement": agreement},
            curves=_curves(question, memory, laws),
            missing=(row for row in rows if not row.ok),
        )


@final
class BpttLinear(AbstractTrainingMemory):
    """Backpropagation through time keeps every step."""

    id = "memory.bptt-linear"
    takeaway = 3
    sentence = "The memory that training keeps for the backward pass grows linearly with the sequence length."
    kind = Kind.equivalence
    estimand = "d log saved bytes / d log T, against 1"

    def applies(self, layer: LayerSpec) -> bool:
        """Every layer; attention has a claim of its own besides."""
        return True

    def decide(self, p: PowerFit | float) -> Decision:
        """Support 1 within delta."""
        low90, high90, low95, high95 = _interval(p)
        return equivalence(low90, high90, low95, high95, 1.0, self.delta)


@final
class AttentionTraining(AbstractTrainingMemory):
    """Whether attention is rid of the memory that grows."""

    id = "memory.attention-training"
    takeaway = 4
    sentence = "Attention removes the growth of training memory: what it keeps grows more slowly than the length."
    kind = Kind.average
    estimand = "1 - d log saved bytes / d log T"

    def applies(self, layer: LayerSpec) -> bool:
        """Attention only."""
        return layer.family == "attention"

    def decide(self, p: PowerFit | float) -> Decision:
        """Support an exponent that lies below 1 by more than delta."""
        _, _, low95, high95 = _interval(p)
        return average(1 - high95, 1 - low95, self.delta)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Laws:
    """The law at the scope's batch, exact or (where none verifies) fitted; and the exact one over batches from 2 on."""

    batch: int
    width: int
    own: ExactLaw | PowerFit
    batches: ExactLaw | None

    @property
    def exponent(self) -> PowerFit | float:
        """The degree in T of an exact law; the fit, with its interval, where there is none."""
        return degree(self.own, d=self.width) if isinstance(self.own, ExactLaw) else self.own

    def text(self) -> str:
        """Return the laws in words."""
        if isinstance(self.own, PowerFit):
            return f"{self.own.text()} B (no exact law verifies)"
        if self.batches is None:
            return f"{self.own.text('B')} at B = {self.batch}, exact"
        if self._one_law():
            return f"{self.batches.text('B')}, exact"
        return f"{self.own.text('B')} at B = {self.batch}, {self.batches.text('B')} at B >= 2, exact"

    def _one_law(self) -> bool:
        """Whether the law over batches holds at the scope's batch too."""
        if isinstance(self.own, PowerFit) or self.batches is None:
            return False
        sizes = [dims | {"d": dims.get("d", 1)} for dims in map(dict, self.own.verified_at)]
        return all(self.batches.value(B=self.batch, **dims) == self.own.value(**dims) for dims in sizes)


def _close(laws: _Laws, memory: tuple[Row, ...]) -> bool:
    """Whether the law, where it is only fitted, lies so close to every count that no step can hide between them."""
    if not isinstance(laws.own, PowerFit):
        return True
    counts = ((row.cell.length, row.observations["saved_bytes"].value) for row in memory)
    return all(abs(laws.own.predict(length) / value - 1) <= CLOSE for length, value in counts)


def _laws(question: Question, counted: tuple[Row, ...], memory: tuple[Row, ...]) -> _Laws:
    """Solve both laws from the counts; fit the memory cells where no exact law verifies."""
    batch = question.scope.batch
    samples = [
        ({"B": row.cell.batch, "T": row.cell.length, "d": row.cell.width}, int(row.observations["saved_bytes"].value))
        for row in counted
    ]
    own = [({"T": dims["T"], "d": dims["d"]}, value) for dims, value in samples if dims["B"] == batch]
    several = [sample for sample in samples if sample[0]["B"] >= 2]
    return _Laws(
        batch=batch,
        width=question.scope.width,
        own=exact_law(own) or fit_power(points_of(memory, "saved_bytes")),
        batches=exact_law(several) if several else None,
    )


def _law_cells(question: Question) -> tuple[Cell, ...]:
    width = question.scope.width
    widths = (width // 4, width // 2, width * 3 // 4) if width % 4 == 0 else (width, 2 * width, 3 * width)
    batches = dict.fromkeys((question.scope.batch, *LAW_BATCHES))
    sizes = [*itertools.product(LAW_LENGTHS, batches, widths), (LAW_LENGTHS[-1], HELD_OUT_BATCH, widths[-1])]
    version = PROBES["count"].version
    return tuple(
        question.scope.cell(
            "count", version, question.layer, algorithm=question.algorithm, mode="training",
            length=length, batch=batch, width=width, launcher=untimed_launcher(question),
        )
        for length, batch, width in dict.fromkeys(sizes)
    )  # fmt: skip


def _memory_cells(question: Question) -> tuple[Cell, ...]:
    version = PROBES["memory"].version
    return tuple(
        question.scope.cell(
            "memory",
            version,
            question.layer,
            algorithm=question.algorithm,
            mode="training",
            length=length,
            launcher=untimed_launcher(question),
        )
        for length in loop_lengths(question)
    )


def _interval(p: PowerFit | float) -> tuple[float, float, float, float]:
    if isinstance(p, PowerFit):
        return p.p_low90, p.p_high90, p.p_low, p.p_high
    return p, p, p, p


def _agreement(memory: tuple[Row, ...]) -> tuple[bool, str]:
    """Say whether the measured peak is what tensors and autograd's nodes explain, at the longest measured length."""
    measured = [row for row in memory if "measured_peak_bytes" in row.observations]
    if not measured:
        return True, "the peak was not measured here"
    last = measured[-1]
    peak, unexplained = (last.observations[n].value for n in ("measured_peak_bytes", "unexplained_bytes"))
    agrees = abs(unexplained) <= max(AGREEMENT * peak, AGREEMENT_BYTES)
    word = "agrees within 10 % or 2 MiB" if agrees else "disagrees by more than 10 % and 2 MiB"
    tensors, nodes = (last.observations[n].value for n in ("predicted_peak_bytes", "node_bytes"))
    return agrees, (
        f"measured peak at T = {last.cell.length} {word}: {format_bytes(peak)} = tensors {format_bytes(tensors)}"
        f" + autograd nodes {format_bytes(nodes)} + unexplained {format_bytes(unexplained)}"
    )


def _evidence(laws: _Laws, memory: tuple[Row, ...]) -> dict[str, Any]:
    _, _, low, high = _interval(laws.exponent)
    value = laws.own.p if isinstance(laws.own, PowerFit) else low
    evidence: dict[str, Any] = {
        "law": {"text": laws.text(), "unit": "B", "exact": isinstance(laws.own, ExactLaw)},
        "exponent": {"value": value, "low": low, "high": high, "unit": "1"},
        "lengths": {"value": [row.cell.length for row in memory], "unit": "tokens"},
    }
    if isinstance(laws.own, ExactLaw):
        evidence["verified_at"] = [{"B": laws.batch, **dims} for dims in laws.own.verified_at]
    return evidence


def _example(laws: _Laws) -> dict[str, str]:
    """Work out the kata's example by the laws; nothing where one of them did not verify."""
    if isinstance(laws.own, PowerFit) or laws.batches is None or laws.batch != 1:
        return {}
    one = float(laws.own.value(T=EXAMPLE_LENGTH, d=EXAMPLE_WIDTH))
    many = EXAMPLE_LAYERS * float(laws.batches.value(B=EXAMPLE_BATCH, T=EXAMPLE_LENGTH, d=EXAMPLE_WIDTH))
    kata = KATA_BYTES * EXAMPLE_LAYERS * EXAMPLE_BATCH
    return {
        "example": (
            f"by that law T = {EXAMPLE_LENGTH:,} at d = {EXAMPLE_WIDTH} saves {format_bytes(one)} (the kata says "
            f"{format_bytes(KATA_BYTES)}), and {EXAMPLE_LAYERS} layers at batch {EXAMPLE_BATCH} save "
            f"{format_bytes(many)} (the kata says {format_bytes(kata)})"
        )
    }


def _curves(question: Question, memory: tuple[Row, ...], laws: _Laws) -> tuple[Curve, ...]:
    """Return saved bytes with their law, and the measured peak beside the predicted one."""
    label = f"{question.layer.name}/{question.algorithm}"
    law, width = laws.own, question.scope.width
    at = [row.cell.length for row in memory]
    fitted = [(float(t), law.predict(t) if isinstance(law, PowerFit) else float(law.value(T=t, d=width))) for t in at]
    curves = [
        Curve(
            label=f"{label} saved", quantity="saved_bytes", x_name="length", points=curve_points(memory, "saved_bytes"),
            law=tuple(fitted), law_text=laws.text(), exact=True,
        )
    ]  # fmt: skip
    for name, word in (("predicted_peak_bytes", "peak predicted"), ("measured_peak_bytes", "peak measured")):
        rows = [row for row in memory if name in row.observations]
        if rows:
            curves.append(
                Curve(
                    label=f"{label} {word}", quantity=name, x_name="length", points=curve_points(rows, name),
                    law=(), law_text="no law fitted", exact=name == "predicted_peak_bytes",
                )
            )  # fmt: skip
    return tuple(curves)
