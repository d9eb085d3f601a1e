"""The book of claims, in the order in which a person reads them."""

from __future__ import annotations

from seqscale.errors import UnknownNameError
from seqscale.verdicts.base import AbstractClaim
from seqscale.verdicts.calibration import KnownValues
from seqscale.verdicts.capacity import CapacityGrows
from seqscale.verdicts.crossover import CrossoverOnProcessors
from seqscale.verdicts.decode import DecodeState
from seqscale.verdicts.gradient import DirectAttention, VanishesRecurrent
from seqscale.verdicts.idle import IdleHardware
from seqscale.verdicts.information import DecaysPerHop, FirstTokenFades, RecentDominates, StateIsBounded
from seqscale.verdicts.kept import SegmentsSave, TruncationSaves
from seqscale.verdicts.memory import AttentionTraining, BpttLinear
from seqscale.verdicts.overhead import LoopIsOverhead
from seqscale.verdicts.parallel import AttentionSpanFlat, RecurrenceCannot, SpanGrows
from seqscale.verdicts.regardless import RegardlessOfDistance, RegardlessOfLength
from seqscale.verdicts.retrieval import CannotRetrieve, EarlyDegrades
from seqscale.verdicts.segments import Funnel, NoRetrieval
from seqscale.verdicts.time import LinearForward, LinearTraining
from seqscale.verdicts.truncation import CapsLearning
from seqscale.verdicts.width import NoParallelism, TimeQuadruples, WorkQuadruples

CLAIMS: dict[str, AbstractClaim] = {
    claim.id: claim
    for claim in (
        LinearForward(),
        LinearTraining(),
        LoopIsOverhead(),
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
        KnownValues(),
        FirstTokenFades(),
        RecentDominates(),
        StateIsBounded(),
        DecaysPerHop(),
        CapacityGrows(),
        EarlyDegrades(),
        CannotRetrieve(),
        Funnel(),
        NoRetrieval(),
        TruncationSaves(),
        CapsLearning(),
        SegmentsSave(),
        VanishesRecurrent(),
        DirectAttention(),
        RegardlessOfDistance(),
        RegardlessOfLength(),
    )
}


def find(name: str) -> AbstractClaim:
    """Return the claim of that id, or raise UnknownNameError with the near ones."""
    if name not in CLAIMS:
        raise UnknownNameError("claim", name, CLAIMS)
    return CLAIMS[name]
