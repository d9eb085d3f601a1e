"""The claim that a slow loop is a slow recurrence's other side: what one compiled kernel leaves of a loop's time."""

from __future__ import annotations

import math
from typing import final

from seqscale.fit.interval import Interval, median_ratio_interval
from seqscale.fit.verdict import average
from seqscale.probes.catalogue import PROBES
from seqscale.records import Cell, LayerSpec, Question
from seqscale.rows import Row, Table
from seqscale.units import format_seconds
from seqscale.verdicts.base import AbstractClaim, Judgement, Kind, Reason, Verdict
from seqscale.verdicts.common import as_measured, judgement, points_of, undecided_for_cells

LONGEST = 512  # tokens: a loop over more takes seconds with its gradient, and a step costs the same in it
LOOP, KERNEL = "reference", "fused"


@final
class LoopIsOverhead(AbstractClaim):
    """The loop over steps against one compiled kernel, in the same rounds; the other algorithms are shown beside."""

    id = "time.loop-is-overhead"
    takeaway = 1
    sentence = (
        "Most of the time of a recurrence written as a loop over steps is the framework's, not the recurrence's: one "
        "compiled kernel takes less than half of it."
    )
    kind = Kind.average
    estimand = "log2 of the loop's forward time over the compiled kernel's, at the same length and in the same rounds"
    delta = 1.0
    every_algorithm = False

    def applies(self, layer: LayerSpec) -> bool:
        """Layers that are computed both ways."""
        return {LOOP, KERNEL} <= set(layer.algorithms)

    def requires(self, question: Question) -> tuple[Cell, ...]:
        """Return the times of every algorithm of the layer, forward and with the gradient, at one length."""
        short = [n for n in question.scope.lengths if n <= LONGEST]
        return tuple(
            question.scope.cell(
                "time",
                PROBES["time"].version,
                question.layer,
                algorithm=algorithm,
                mode=mode,
                length=short[-1] if short else question.scope.lengths[0],
            )
            for mode in ("forward", "training")
            for algorithm in question.layer.algorithms
        )

    def judge(self, question: Question, table: Table) -> Judgement:
        """Judge by the forward pass; say beside it what the other algorithms and the gradients take."""
        rows = table.rows_of(self.requires(question))
        asked = as_measured(question, rows)
        times = {(row.cell.mode, row.cell.algorithm): row for row in rows if row.ok}
        if ("forward", LOOP) not in times or ("forward", KERNEL) not in times:
            return undecided_for_cells(self, asked, tuple(r for r in rows if r.cell.algorithm in (LOOP, KERNEL)))
        length = rows[0].cell.length
        factors = {
            (mode, algorithm): _over_kernel(row, times[mode, KERNEL])
            for (mode, algorithm), row in times.items()
            if algorithm != KERNEL and (mode, KERNEL) in times
        }
        log = factors["forward", LOOP]
        verdict = Verdict[average(log.low95 / math.log(2), log.high95 / math.log(2), self.delta).name]
        steps = {key: row.observations["time"].value / length for key, row in times.items()}
        said = [
            f"{mode}: a step of {KERNEL} takes {format_seconds(steps[mode, KERNEL])}, "
            + ", ".join(
                f"of {algorithm} {format_seconds(steps[mode, algorithm])}, {_times(factor)}"
                for (other, algorithm), factor in factors.items()
                if other == mode
            )
            for mode in dict.fromkeys(mode for mode, _ in factors)
        ]
        return judgement(
            self,
            asked,
            verdict,
            f"at T = {length:,}, {'; '.join(said)}",
            reason=Reason.noise if verdict is Verdict.undecided else None,
            headline=f"{_times(log)} a step",
            evidence={
                "steps": [
                    {"mode": mode, "algorithm": algorithm, "value": step, "unit": "s"}
                    for (mode, algorithm), step in steps.items()
                ],
                "over_the_kernel": [
                    {"mode": mode, "algorithm": algorithm, "value": math.exp(log.value), "low": math.exp(log.low95),
                     "high": math.exp(log.high95), "unit": "1"}
                    for (mode, algorithm), log in factors.items()
                ],
            },
            missing=(row for row in rows if not row.ok),
        )  # fmt: skip


def _over_kernel(row: Row, kernel: Row) -> Interval:
    """Return the logarithm of a time over the kernel's, round by round."""
    time, least = (points_of([one], "time").rounds[0] for one in (row, kernel))
    return median_ratio_interval(time, least)


def _times(log: Interval) -> str:
    value, low, high = (math.exp(bound) for bound in (log.value, log.low95, log.high95))
    return f"{value:.3g}x [{low:.3g}, {high:.3g}]"
