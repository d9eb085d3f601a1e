"""Claims on forgetting: what the state tells of the first token, of recent ones, of new ones, of a message passed on.

All read the bits about tokens that a decoder finds in the state of an untrained layer (probe token-bits, E3), at two
lengths: 32 tokens, and 100, the people of the kata's telephone game.
"""

from __future__ import annotations

import math
from typing import final

from seqscale.fit.verdict import equivalence
from seqscale.profiles import Profile
from seqscale.records import Question
from seqscale.rows import Row
from seqscale.verdicts.base import Kind, Reason
from seqscale.verdicts.calibration import Fault
from seqscale.verdicts.readings import at, curve_of, drawn, mean_of, mean_seen, paired, record, text, values_of
from seqscale.verdicts.replicated import Finding
from seqscale.verdicts.tokens import BITS, LONG, SHORT, AbstractTokens, growth_share, token_fault

OLDER, NEWER = 32, 64  # tokens between which the long sequence must add what it reads
LEAST_MESSAGE = 0.1  # bits about a message after one step, from which a share of it can be lost


@final
class FirstTokenFades(AbstractTokens):
    """The kata's table of similarity to the first token, in bits."""

    id = "information.first-token-fades"
    sentence = "The longer the sequence, the less the state tells of its first token."
    kind = Kind.average
    estimand = "bits about the first token after 2 tokens, less those after 32"
    delta = 0.2
    unit = "bit"
    length = SHORT

    def find(self, question: Question, rows: tuple[Row, ...], beside: tuple[Row, ...]) -> Finding:
        """Judge the fall, paired by replicate."""
        (row,) = rows
        curve = curve_of(row, "first token")
        early, late = at(row, curve, 2), at(row, curve, SHORT)
        fall = paired(early, late)
        decision, more = self.by_average(fall)
        first, last = mean_of(early), mean_of(late)
        return Finding(
            decision=decision,
            statement=(
                f"of the {BITS:g} bits of the first token the state tells {text(first)} after 2 tokens and "
                f"{text(last)} after {SHORT}: {text(fall, 'bit')} less{more}"
            ),
            headline=f"{first.value:.2g} to {last.value:.2g} bit",
            evidence={
                "fall": record(fall, "bit"),
                "after_2": record(first, "bit"),
                f"after_{SHORT}": record(last, "bit"),
            },
            curves=(drawn(question, curve, "first token"),),
            fault=token_fault(rows),
        )


@final
class RecentDominates(AbstractTokens):
    """The shape of the state's memory: how much of it is of the newest quarter."""

    id = "information.recent-dominates"
    sentence = "The state is dominated by recent tokens."
    kind = Kind.average
    estimand = "share of the bits found that are about the newest quarter of 32 tokens, less a quarter"
    delta = 0.10
    unit = "1"
    length = SHORT

    def find(self, question: Question, rows: tuple[Row, ...], beside: tuple[Row, ...]) -> Finding:
        """Judge the share; where no bits are found there is nothing to share."""
        (row,) = rows
        share, total = mean_seen(row, "recent_share"), mean_seen(row, "token_bits")
        excess = mean_of([value - 0.25 for value in values_of(row, "recent_share")])
        decision, more = self.by_average(excess)
        fault = token_fault(rows)
        if fault is None and total.low95 <= 0:
            fault = Fault(reason=Reason.control, said="no bits are found in the state, so that none can be recent")
        return Finding(
            decision=decision,
            statement=(
                f"{text(share)} of the {text(total, 'bit')} found are about the newest quarter of the tokens, "
                f"where 0.25 would be even{more}"
            ),
            headline=f"{share.value:.0%} in the newest quarter",
            evidence={"share": record(share, "1"), "excess": record(excess, "1"), "found": record(total, "bit")},
            curves=(drawn(question, curve_of(row, "bits"), "bits"),),
            fault=fault,
        )


@final
class StateIsBounded(AbstractTokens):
    """The information bottleneck, in bits found beside the kata's dimensions per token."""

    id = "information.state-is-bounded"
    sentence = "A fixed state is full at some point: what is read beyond adds nothing to what it tells."
    kind = Kind.equivalence
    estimand = "share of the bits read between 32 and 64 tokens that the state tells more after 64, against 0"
    delta = 0.05
    unit = "1"
    length = LONG

    def find(self, question: Question, rows: tuple[Row, ...], beside: tuple[Row, ...]) -> Finding:
        """Judge the growth of what is found."""
        (row,) = rows
        found, bound = curve_of(row, "found"), curve_of(row, "bound")
        growth = growth_share(row, found, OLDER, NEWER)
        decision = equivalence(growth.low90, growth.high90, growth.low95, growth.high95, 0.0, self.delta)
        numbers = mean_seen(row, "state_numbers").value
        total = mean_of(at(row, found, LONG))
        most = math.fsum(at(row, bound, LONG)) / bound.replicates
        return Finding(
            decision=decision,
            statement=(
                f"of the bits read from token {OLDER + 1} to {NEWER} the state tells {text(growth)} more; after {LONG} "
                f"tokens it has {numbers / LONG:.3g} numbers and tells {total.value / LONG:.3g} bits per token "
                f"({text(total, 'bit')} of {LONG * BITS:g}; at most {most:.4g} fit)"
            ),
            headline=f"{total.value / LONG:.2g} bit per token of {BITS:g}",
            evidence={
                "growth": record(growth, "1"),
                "numbers_per_token": {"value": numbers / LONG, "unit": "numbers"},
                "bits_per_token": {"value": total.value / LONG, "unit": "bit"},
                "found": record(total, "bit"),
                "bound": {"value": most, "unit": "bit"},
                "source": {"value": LONG * BITS, "unit": "bit"},
            },
            curves=(drawn(question, found, "found"), drawn(question, bound, "bound")),
            fault=token_fault(rows),
        )


@final
class DecaysPerHop(AbstractTokens):
    """The telephone game: a message through a hundred people."""

    id = "information.decays-per-hop"
    sentence = "A message passed on from step to step gets lost on the way."
    kind = Kind.average
    estimand = "share of the bits about a message that are lost between 1 step and 99"
    delta = 0.10
    unit = "1"
    length = LONG

    def find(self, question: Question, rows: tuple[Row, ...], beside: tuple[Row, ...]) -> Finding:
        """Judge the share lost, paired by replicate; a message that does not arrive at all is no message."""
        (row,) = rows
        curve = curve_of(row, "first token")
        start, end = at(row, curve, 2), at(row, curve, LONG)
        first, last = mean_of(start), mean_of(end)
        fault = token_fault(rows)
        if fault is None and min(start) <= LEAST_MESSAGE:
            said = f"after one step {text(first, 'bit')} are left of a message of {BITS:g}: there is none to lose"
            fault = Fault(reason=Reason.control, said=said)
        kept = [max(a, LEAST_MESSAGE) for a in start]
        lost = mean_of([1 - b / a for a, b in zip(kept, end, strict=True)])
        decision, more = self.by_average(lost)
        per_step = paired(start, end)
        half = _half(curve)
        return Finding(
            decision=decision,
            statement=(
                f"of a message the state tells {text(first)} bits after 1 step and {text(last)} after {LONG - 1}: "
                f"{text(lost)} of it is lost{more}, {per_step.value / (LONG - 2):.2g} bit a step; {half}"
            ),
            headline=f"{lost.value:.0%} lost in {LONG - 1} steps",
            evidence={
                "lost": record(lost, "1"),
                "lost_per_step": {"value": per_step.value / (LONG - 2), "unit": "bit/step"},
                "after_1_step": record(first, "bit"),
                f"after_{LONG - 1}_steps": record(last, "bit"),
            },
            curves=(drawn(question, curve, "message"),),
            fault=fault,
        )


def _half(curve: Profile) -> str:
    """Say after how many steps half of the message is lost, at the lengths that were read."""
    means = dict(zip(curve.x, curve.means(), strict=True))
    for x, mean in means.items():
        if x > 2 and mean <= means[2] / 2:
            return f"half is lost within {x - 1:g} steps"
    return f"half is still there after {curve.x[-1] - 1:g} steps"
