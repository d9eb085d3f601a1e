"""One figure of the benchmarks, and whether it is what was aimed at.

The aims were written down before anything was measured; each is for two cores, float32, and about the median.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Shape = tuple[int, ...]
Found = tuple[float, float, float]  # a median, and the ends of its 95 % interval

SHAPES: tuple[Shape, ...] = (
    (1, 8, 16, 5000),
    (1, 64, 64, 2000),
    (1, 256, 256, 1000),
    (1, 1024, 1024, 300),
    (32, 64, 64, 1000),
    (64, 128, 128, 512),
    (32, 256, 256, 500),
)
"""Batch, inputs, hidden units, time."""

DIAGONAL: Shape = (8, 4096, 256)  # batch, time, units
SELECTIVE: Shape = (2, 2048, 256, 16)  # batch, time, channels, states
MATRICES: Shape = (16, 2048, 64)  # sequences (batch times heads), time, features of keys and values

CEILINGS = ("products", "read", "copy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What was measured of one recurrence in one mode.

    Attributes:
        name: of the recurrence.
        shape: as its list above has it.
        mode: "forward" or "both".
        rounds: how many.
        seconds: median of one call of the fused kernel.
        ratios: by peer, its time over the fused kernel's.
        shares: by ceiling, the part of it that the fused kernel reaches.
        apart: how far any peer's outputs or gradients were from the fused kernel's.
    """

    name: str
    shape: Shape
    mode: str
    rounds: int
    seconds: float
    ratios: Mapping[str, Found]
    shares: Mapping[str, Found]
    apart: float


@dataclass(frozen=True, slots=True)
class Target:
    """An aim.

    Attributes:
        names, shapes: of the rows that it is for.
        against: a peer of Row.ratios; "best", the fastest of them; a ceiling; or "ceiling", whichever is nearest.
        forward, both: the least ratio, or share of the ceiling, aimed at.
        share: of the nearest ceiling, which will do instead.
    """

    names: tuple[str, ...]
    shapes: tuple[Shape, ...]
    against: str
    forward: float
    both: float
    share: float | None = None


_CELLS, _LOOPED = ("elman", "gru", "lstm"), ("elman", "gru")  # torch.nn loops over the steps of these in C++
_SMALL, _ALONE, _LARGE, _BATCHES = SHAPES[:2], SHAPES[:3], SHAPES[3:4], SHAPES[4:]

TARGETS = (
    Target(_LOOPED, _SMALL, "torch.nn", 20, 40),
    Target(_LOOPED, (*SHAPES[2:3], *_BATCHES), "torch.nn", 2, 3, share=0.6),
    Target(("lstm",), _ALONE, "torch.nn", 1.5, 2),
    Target(("lstm",), _BATCHES, "torch.nn", 1, 1.3),
    Target(_CELLS, _ALONE, "lax.scan", 2, 2),
    Target(_CELLS, _BATCHES, "lax.scan", 1.3, 1.5, share=0.6),
    Target(_CELLS, _LARGE, "best", 1, 1),
    Target(_CELLS, SHAPES[6:], "ceiling", 0.5, 0.5),
    Target(("diagonal",), (DIAGONAL,), "copy", 0.7, 0.7),
    Target(("diagonal",), (DIAGONAL,), "lax.scan", 1.5, 1.5),
    Target(("diagonal",), (DIAGONAL,), "associative_scan", 5, 5),
    Target(("diagonal",), (DIAGONAL,), "pscan", 5, 5),
    Target(("selective",), (SELECTIVE,), "lax.scan", 1.5, 1.5),
    Target(("selective",), (SELECTIVE,), "mambapy", 5, 5),
    Target(("selective",), (SELECTIVE,), "transformers", 5, 5),
)


@dataclass(frozen=True, slots=True)
class Judged:
    """A target, and whether a row met it; None where what it is against was not measured."""

    target: Target
    mode: str
    met: bool | None

    @property
    def wanted(self) -> str:
        """What was aimed at; a star where a share of the ceiling will do instead."""
        least = getattr(self.target, self.mode)
        is_share = self.target.against in ("ceiling", *CEILINGS)
        return f"{least:.0%}" if is_share else f"{least:g}{'*' if self.target.share else ''}"


def judge(row: Row) -> list[Judged]:
    """Return what was aimed at for a row, and whether its medians are that."""
    return [Judged(t, row.mode, _met(t, row)) for t in TARGETS if row.name in t.names and row.shape in t.shapes]


def _met(target: Target, row: Row) -> bool | None:
    ratios = {name: found[0] for name, found in row.ratios.items()}
    shares = {name: found[0] for name, found in row.shares.items()}
    ratios["best"], shares["ceiling"] = min(ratios.values(), default=0), max(shares.values(), default=0)
    found = (ratios | shares).get(target.against)
    if found is None:
        return None
    return found >= getattr(target, row.mode) or (target.share is not None and shares["ceiling"] >= target.share)
