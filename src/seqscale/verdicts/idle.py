"""The claim on idle hardware: the share of the machine's own ceiling that a layer reaches, and its rise with batch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

from seqscale.fit.interval import combination_interval, median_interval
from seqscale.fit.verdict import average
from seqscale.probes.catalogue import MACHINE, PROBES
from seqscale.records import Cell, LayerSpec, Question
from seqscale.rows import Observation, Table
from seqscale.units import format_flop_rate
from seqscale.verdicts.base import AbstractClaim, Curve, CurvePoint, Judgement, Kind, Reason, Verdict
from seqscale.verdicts.common import judgement, noise_floor, undecided_for_cells, untimed_launcher
from seqscale.verdicts.counts import count_cell, uncounted
from seqscale.verdicts.threads import PROCESSORS, Threaded, threaded

CEILING_DTYPE = "float32"
LENGTH = 64  # tokens; the share of a loop does not depend on it, and a loop of 64 steps takes milliseconds
BATCHES = (1, 8, 64)  # sequences; the sentence speaks of the first, whatever batch the study has


@final
class IdleHardware(AbstractClaim):
    """Measured: work over time, against the matrix product that this machine does best."""

    id = "parallel.idle-hardware"
    takeaway = 1
    sentence = (
        "At batch 1 most of the hardware sits idle: a forward pass reaches less than a tenth of the machine's own "
        "ceiling."
    )
    kind = Kind.average
    estimand = "idle share: 1 - work / time / matrix-product ceiling of as many threads, forward pass of 64 tokens"
    delta = 0.90

    def applies(self, layer: LayerSpec) -> bool:
        """Every layer."""
        return True

    def requires(self, question: Question) -> tuple[Cell, ...]:
        """Return times and counts at three batch sizes, times of one and two threads, and the machine's ceilings."""
        cells = [*_deciding(question)]
        for batch in BATCHES:
            cells += [_time_cell(question, batch, question.scope.threads), count_cell(question, LENGTH, batch=batch)]
        cells.append(_ceiling(question, "stream", question.scope.threads))
        if question.scope.device == "cpu":
            for batch in (BATCHES[0], BATCHES[-1]):
                cells += [_time_cell(question, batch, threads) for threads in (1, PROCESSORS)]
            cells += [_ceiling(question, name, PROCESSORS) for name in ("step", "barrier")]
        return tuple(dict.fromkeys(cells))

    def judge(self, question: Question, table: Table) -> Judgement:
        """Judge the share at the scope's own batch; a share above the ceiling is the instrument's fault."""
        if question.scope.dtype != CEILING_DTYPE:
            said = f"the machine's ceiling is measured in {CEILING_DTYPE}, these times are of {question.scope.dtype}"
            return judgement(self, question, Verdict.undecided, said, reason=Reason.instrument)
        _, count, product = deciding = table.rows_of(_deciding(question))
        if not all(row.ok for row in deciding):
            return undecided_for_cells(self, question, deciding)
        if "work" not in count.observations:
            return uncounted(self, question, (count,))
        ceiling = product.observations["flop_rate"]
        shares = [share for batch in BATCHES if (share := _share(question, table, batch, ceiling)) is not None]
        own = shares[0]
        verdict = Verdict[average(1 - own.high, 1 - own.low, self.delta).name]
        reason = Reason.noise if verdict is Verdict.undecided else None
        threads = question.scope.threads
        texts = [f"{shares[0].text()} of the matrix-product ceiling of {threads} thread{'s' if threads > 1 else ''}"]
        texts[0] += f" ({format_flop_rate(own.rate)} of {format_flop_rate(ceiling.value)}) at batch {own.batch}"
        texts += [f"{s.text()} at batch {s.batch} ({s.value / own.value:.3g}x)" for s in shares[1:]]
        above = next((s for s in shares if s.low > 1), None)
        if above is not None:
            verdict, reason = Verdict.undecided, Reason.instrument
            texts.append(f"a share above 1 at batch {above.batch} means that the ceiling is measured too low")
        pairs = _threads(question, table)
        statement = "; ".join([f"a forward pass of {LENGTH} tokens reaches {texts[0]}", *texts[1:]])
        return judgement(
            self,
            question,
            verdict,
            "; ".join([statement, *(pair.text() for pair in pairs)]),
            reason=reason,
            headline=f"{own.text()} of ceiling",
            evidence=_evidence(question, table, shares, pairs, ceiling),
            curves=(_curve(question, shares),),
            missing=(row for row in table.rows_of(self.requires(question)) if not row.ok),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Share:
    """What one batch size reaches.

    Attributes:
        batch: sequences.
        value, low, high: share of the ceiling with its 95 % interval.
        rate, rate_low, rate_high: work over time [flop/s].
        intensity: work over traffic [flop/B].
    """

    batch: int
    value: float
    low: float
    high: float
    rate: float
    rate_low: float
    rate_high: float
    intensity: float

    def text(self) -> str:
        return f"{100 * self.value:.3g} % [{100 * self.low:.3g}, {100 * self.high:.3g}]"


def _share(question: Question, table: Table, batch: int, ceiling: Observation) -> _Share | None:
    """Return the share at one batch size; None where its time or its work is not known."""
    time = table.row(_time_cell(question, batch, question.scope.threads)).observations.get("time")
    counted = table.row(count_cell(question, LENGTH, batch=batch)).observations
    if time is None or "work" not in counted:
        return None
    work = counted["work"].value
    seconds, rates = _rounds(time, 0), _rounds(ceiling, 0)
    log, level = combination_interval((seconds, rates), (-1.0, -1.0)), median_interval(seconds)
    lows, highs = [log.low95], [log.high95]
    if all(sample.reference_s for seen in (time, ceiling) for sample in seen.samples):
        # Layer and ceiling were measured minutes apart, and the machine may have been slower meanwhile: so the interval
        # holds also what comes out when each is taken against the reference product of its own round.
        steady = combination_interval((_rounds(time, -1), _rounds(ceiling, 1)), (-1.0, -1.0))
        lows, highs = [*lows, steady.low95], [*highs, steady.high95]
    return _Share(
        batch=batch,
        value=work * math.exp(log.value),
        low=work * math.exp(min(lows)),
        high=work * math.exp(max(highs)),
        rate=work / level.value,
        rate_low=work / level.high95,
        rate_high=work / level.low95,
        intensity=work / counted["traffic_bytes"].value,
    )


def _rounds(seen: Observation, power: int) -> dict[tuple[int, int], float]:
    """Return (launch, round) -> the sample times a power of the seconds of its round's reference product."""
    return {(s.launch, s.round): s.value * (s.reference_s or 1.0) ** power for s in seen.samples}


def _threads(question: Question, table: Table) -> tuple[Threaded, ...]:
    """Compare one thread with two at the smallest and the largest batch, as far as both were measured."""
    if question.scope.device != "cpu":
        return ()
    step, barrier = (
        table.row(_ceiling(question, name, PROCESSORS)).observations.get(quantity)
        for name, quantity in (("step", "dependent_step_time"), ("barrier", "barrier_time"))
    )
    found = []
    for batch in (BATCHES[0], BATCHES[-1]):
        count = table.row(count_cell(question, LENGTH, batch=batch))
        one, two = (
            table.row(_time_cell(question, batch, threads)).observations.get("time") for threads in (1, PROCESSORS)
        )
        if one and two and step and barrier and "ideal_span" in count.observations:
            found.append(threaded(count, one, two, step.value, barrier.value, noise_floor(table)))
    return tuple(found)


def _deciding(question: Question) -> tuple[Cell, Cell, Cell]:
    """Return what the verdict rests on: time and count at the smallest batch, and the ceiling."""
    threads = question.scope.threads
    return (
        _time_cell(question, BATCHES[0], threads),
        count_cell(question, LENGTH, batch=BATCHES[0]),
        _ceiling(question, "product", threads),
    )


def _time_cell(question: Question, batch: int, threads: int) -> Cell:
    return question.scope.cell(
        "time",
        PROBES["time"].version,
        question.layer,
        algorithm=question.algorithm,
        mode="forward",
        length=LENGTH,
        batch=batch,
        threads=threads,
    )


def _ceiling(question: Question, algorithm: str, threads: int) -> Cell:
    """Return the cell of one of the machine's ceilings, the same that `seqscale machine` measures."""
    return question.scope.cell(
        "ceiling",
        PROBES["ceiling"].version,
        MACHINE,
        algorithm=algorithm,
        mode="forward",
        length=1,
        width=1,
        batch=1,
        dtype=CEILING_DTYPE,
        threads=threads,
        seed=0,
        launcher=untimed_launcher(question),
        options=(),
    )


def _evidence(
    question: Question, table: Table, shares: list[_Share], pairs: tuple[Threaded, ...], ceiling: Observation
) -> dict[str, Any]:
    evidence: dict[str, Any] = {
        "shares": [{"batch": s.batch, "value": s.value, "low": s.low, "high": s.high, "unit": "1"} for s in shares],
        "ceiling": {"value": ceiling.value, "low": ceiling.low, "high": ceiling.high, "unit": "flop/s"},
        "threads": [pair.record() for pair in pairs],
    }
    stream = table.row(_ceiling(question, "stream", question.scope.threads)).observations.get("bandwidth")
    if stream is not None:
        evidence["roofline"] = {
            "points": [
                {
                    "batch": s.batch, "length": LENGTH, "intensity": s.intensity,
                    "rate": s.rate, "low": s.rate_low, "high": s.rate_high,
                }
                for s in shares
            ],
            "unit": "flop/s, flop/B",
            "peak": ceiling.value,
            "bandwidth": stream.value,
            "threads": question.scope.threads,
        }  # fmt: skip
    return evidence


def _curve(question: Question, shares: list[_Share]) -> Curve:
    return Curve(
        label=f"{question.layer.name}/{question.algorithm} forward",
        quantity="flop_rate",
        x_name="batch",
        points=tuple(CurvePoint(x=s.batch, y=s.rate, low=s.rate_low, high=s.rate_high) for s in shares),
        law=(),
        law_text="three sizes: no law",
    )
