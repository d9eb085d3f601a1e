"""Schedulers that the bounds on P processors are tested with: whole kernels one thread each, and level by level."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Kernel = tuple[float, int, Sequence[int]]  # work, depth in steps, kernels before it that it waits for


@dataclass(frozen=True, slots=True)
class Slot:
    """When and where a kernel ran: from `start` to `finish`, in the unit of its work."""

    processor: int
    start: float
    finish: float


def greedy(kernels: Sequence[Kernel], processors: int) -> tuple[Slot, ...]:
    """Schedule whole kernels, one processor each: a free processor takes the first kernel that waits for none.

    The last finish lies within max(W/P, S) <= T_P <= W/P + (1 - 1/P) S, S the heaviest chain (Graham 1966).

    Returns:
        for each kernel its slot.

    Raises:
        ValueError: fewer than one processor, or a kernel that waits for itself or for a later one.
    """
    if processors < 1:
        raise ValueError(f"{processors} processors: at least one is needed")
    _check(kernels)
    waiting = [len(set(deps)) for _, _, deps in kernels]
    users: list[list[int]] = [[] for _ in kernels]
    for i, (_, _, deps) in enumerate(kernels):
        for j in set(deps):
            users[j].append(i)
    ready = [i for i, count in enumerate(waiting) if not count]  # rising, so a heap
    free = list(range(processors))
    running: list[tuple[float, int, int]] = []  # finish, kernel, processor
    slots: list[Slot | None] = [None] * len(kernels)
    now = 0.0
    while ready or running:
        while ready and free:
            i, processor = heapq.heappop(ready), heapq.heappop(free)
            slots[i] = Slot(processor=processor, start=now, finish=now + kernels[i][0])
            heapq.heappush(running, (now + kernels[i][0], i, processor))
        now, done, processor = heapq.heappop(running)
        heapq.heappush(free, processor)
        for i in users[done]:
            waiting[i] -= 1
            if not waiting[i]:
                heapq.heappush(ready, i)
    return tuple(slot for slot in slots if slot is not None)


def levels(kernels: Sequence[Kernel]) -> tuple[float, ...]:
    """Return the work in each step where every kernel starts as soon as it can, and spreads evenly over its depth.

    Their sum is the work, their number the ideal span. A kernel of depth 0 takes no step; its work, if it has any, is
    done in the step before it.

    Raises:
        ValueError: a kernel that waits for itself or for a later one, or work in no step at all.
    """
    _check(kernels)
    finish: list[int] = []
    for _, depth, deps in kernels:
        finish.append(max((finish[j] for j in deps), default=0) + depth)
    work = [0.0] * max(finish, default=0)
    for (amount, depth, _), end in zip(kernels, finish, strict=True):
        if depth:
            for step in range(end - depth, end):
                work[step] += amount / depth
        elif amount and not work:
            raise ValueError(f"work of {amount} in a graph without steps: every kernel has depth 0")
        elif amount:
            work[max(0, end - 1)] += amount
    return tuple(work)


def brent(levels: Iterable[float], processors: int) -> int:
    """Return the steps that P processors need where they do one level after another: the sum of ceil(w / P).

    A level of no work (data is moved, nothing computed) takes one step too. Lies within W/P and W/P + S.

    Raises:
        ValueError: fewer than one processor.
    """
    if processors < 1:
        raise ValueError(f"{processors} processors: at least one is needed")
    # a third, three times, is a little more than one in floating point, and no step more
    return sum(max(1, math.ceil(round(work / processors, 9))) for work in levels)


def _check(kernels: Sequence[Kernel]) -> None:
    for i, (_, _, deps) in enumerate(kernels):
        if any(not 0 <= j < i for j in deps):
            raise ValueError(f"kernel {i} waits for {list(deps)}: only for kernels before it can it wait")
