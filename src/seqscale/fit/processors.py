"""What P processors could do with counted work W and span S: between max(W/P, S) and W/P + S.

Neither all the work nor the longest chain can be done faster; and a schedule that never leaves a processor idle while
something waits for none reaches the upper bound: Graham 1966, "Bounds for certain multiprocessing anomalies", Bell
System Technical Journal 45; Brent 1974, "The parallel evaluation of general arithmetic expressions", J. ACM 21(2).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

from seqscale.fit.law import ExactLaw

Number = int | float


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between what the time on P processors must lie, in the unit of work and span."""

    low: float
    high: float


def bounds(work: float, span: float, processors: int) -> Bounds:
    """Return max(W/P, S) and W/P + S.

    Raises:
        ValueError: fewer than one processor.
    """
    if processors < 1:
        raise ValueError(f"{processors} processors: at least one is needed")
    return Bounds(low=max(work / processors, span), high=work / processors + span)


def interval_of_threads(
    one_thread_s: float,
    processors: int,
    *,
    span: float,
    step_s: float,
    kernels: float,
    barrier_s: float,
    noise: float,
) -> Bounds:
    """Return between what a time measured on several threads should lie [s].

    Threads share the inside of a kernel, so the ideal span binds, not the chain of kernels; and they meet after each
    kernel. From max(T1/P, span * step) to T1/P + span * step + kernels * barrier, widened by the noise.

    Args:
        one_thread_s: the time measured with one thread [s].
        processors: threads.
        span: the ideal span in steps.
        step_s: what a dependent step costs [s].
        kernels: kernels in a call.
        barrier_s: what it costs that threads meet [s].
        noise: relative noise floor of a time: a factor of exp(noise) either way.
    """
    ideal = bounds(one_thread_s, span * step_s, processors)
    return Bounds(low=ideal.low * math.exp(-noise), high=(ideal.high + kernels * barrier_s) * math.exp(noise))


@dataclass(frozen=True, slots=True)
class Model:
    """A computation by its laws in T: work and span in the same unit, a step for one operation."""

    label: str
    work: ExactLaw
    span: ExactLaw

    def at(self, length: int) -> tuple[Number, Number]:
        """Return work and span at a length."""
        work, span = self.work.value(T=length), self.span.value(T=length)
        return (work if isinstance(work, int) else float(work)), (span if isinstance(span, int) else float(span))

    def bounds(self, length: int, processors: int) -> Bounds:
        """Return between what the time on P processors must lie."""
        return bounds(*self.at(length), processors)

    def extrapolates(self, length: int) -> bool:
        """Whether a length lies outside of what both laws reproduce."""
        return self.work.extrapolates(T=length) or self.span.extrapolates(T=length)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """Which of two computations surely finishes first on P processors, over the lengths tried.

    Attributes:
        first, second: their labels.
        processors: P.
        runs: (label of the one surely first, or None where the bounds overlap; first length; last length), rising;
            neighbours differ.
    """

    first: str
    second: str
    processors: int
    runs: tuple[tuple[str | None, int, int], ...]

    @property
    def sure(self) -> tuple[tuple[str, int, int], ...]:
        """The runs that the bounds decide."""
        return tuple((who, start, end) for who, start, end in self.runs if who is not None)

    @property
    def passes(self) -> tuple[tuple[str, int, int], ...]:
        """Who passes, after the last length at which the other is surely first, before the first at which it is."""
        return tuple(
            (who, end, start) for (before, _, end), (who, start, _) in itertools.pairwise(self.sure) if before != who
        )

    @property
    def throughout(self) -> str | None:
        """The one that is surely first at every length; None if neither is."""
        return self.runs[0][0] if len(self.runs) == 1 else None

    def text(self) -> str:
        """Return the answer for a person: every change, and what the bounds leave open."""
        longest = self.runs[-1][2]
        if self.throughout is not None:
            return f"none up to T = {longest:,}: {self.throughout} first throughout"
        if not self.sure:
            return f"not decided by the bounds up to T = {longest:,}"
        opened = [(start, end) for who, start, end in self.runs if who is None and not self._within_pass(start)]
        passes = [f"between T = {a:,} and T = {b:,}" for _, a, b in self.passes]
        if len(passes) == 1 and not opened and self.passes[0][0] == self.second:
            return passes[0]
        said = [f"{who} passes {place}" for (who, _, _), place in zip(self.passes, passes, strict=True)]
        said = said or [f"none sure up to T = {longest:,}: {self.sure[0][0]} first where decided"]
        return "; ".join([*said, *(f"not decided from T = {start:,} to T = {end:,}" for start, end in opened)])

    def _within_pass(self, start: int) -> bool:
        return any(a < start < b for _, a, b in self.passes)


def crossing(first: Model, second: Model, processors: int, lengths: Iterable[int]) -> Crossing:
    """Return which of two surely finishes first at each length: where one's upper bound is below the other's lower.

    Args:
        first, second: what is compared.
        processors: P.
        lengths: lengths to try; a change is placed between two of them.

    Raises:
        ValueError: no lengths.
    """
    tried = sorted(set(lengths))
    if not tried:
        raise ValueError("a crossing needs lengths to look at")
    surely = [(_first(first, second, processors, length), length) for length in tried]
    grouped = [(who, [length for _, length in run]) for who, run in itertools.groupby(surely, key=lambda each: each[0])]
    return Crossing(
        first=first.label,
        second=second.label,
        processors=processors,
        runs=tuple((who, run[0], run[-1]) for who, run in grouped),
    )


def _first(first: Model, second: Model, processors: int, length: int) -> str | None:
    one, other = (model.bounds(length, processors) for model in (first, second))
    if one.high < other.low:
        return first.label
    return second.label if other.high < one.low else None
