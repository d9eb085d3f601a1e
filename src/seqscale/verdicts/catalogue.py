"""The book of claims, in the order in which a person reads them."""

from __future__ import annotations

from seqscale.errors import UnknownNameError
from seqscale.verdicts.base import AbstractClaim
from seqscale.verdicts.crossover import CrossoverOnProcessors
from seqscale.verdicts.decode import DecodeState
from seqscale.verdicts.idle import IdleHardware
from seqscale.verdicts.memory import AttentionTraining, BpttLinear
from seqscale.verdicts.parallel import AttentionSpanFlat, RecurrenceCannot, SpanGrows
from seqscale.verdicts.time import LinearForward, LinearTraining
from seqscale.verdicts.width import NoParallelism, TimeQuadruples, WorkQuadruples

CLAIMS: dict[str, AbstractClaim] = {
    claim.id: claim
    for claim in (
        LinearForward(),
        LinearTraining(),
        SpanGrows(),
        AttentionSpanFlat(),
        RecurrenceCannot(),
        IdleHardware(),
        CrossoverOnProcessors(),
        WorkQuadruples(),
        TimeQuadruples(),
        NoParallelism(),
        BpttLinear(),
        DecodeState(),
        AttentionTraining(),
    )
}


def find(name: str) -> AbstractClaim:
    """Return the claim of that id, or raise UnknownNameError with the near ones."""
    if name not in CLAIMS:
        raise UnknownNameError("claim", name, CLAIMS)
    return CLAIMS[name]
