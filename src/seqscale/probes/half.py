"""How many steps of training it takes until the loss is half of what is reached without memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from seqscale.errors import UnsupportedError
from seqscale.layers.build import Built
from seqscale.probes.trained import Result, numbers_of
from seqscale.probes.trained_trial import Measured, curve

BLOCKS = 40  # the steps are cut into so many blocks: a step's own loss is noisy


def half_way(result: Result, layer: Built, quantity: str, blind: float) -> Measured:
    """Return steps to half, the loss on test and its course, at each replicate's best rate.

    A step's loss is of sequences that no earlier step has seen. `steps_to_half` is the end of the first block of steps
    whose mean loss is at most half of `blind`; a replicate without such a block is censored: it has no number, and the
    note says so. A block should hold some hundred sequences (the defaults: 640), or its mean may be that low by luck.

    Args:
        result: of training on a task.
        layer: the layer trained.
        quantity: of the loss, "loss" or "squared_error".
        blind: the least loss without memory.
    """
    plan = result.plan
    ends, losses = in_blocks(result.trained.losses)
    reached = steps_to(ends, losses, blind / 2)
    best = result.of_best(reached)
    values: dict[str, Any] = {
        "steps_to_half": [None if np.isnan(steps) else int(steps) for steps in best],
        quantity: result.of_best(result.test.losses).mean((1, 2)),
        "learning_rate": result.rates(),
    }
    missing = [
        f"half of {blind:.4g} not within {plan.steps} steps (replicate {r})" for r in np.flatnonzero(np.isnan(best))
    ]
    try:
        values["state_numbers"] = [numbers_of(plan, layer)] * plan.replicates
    except UnsupportedError as error:
        missing.append(f"state_numbers: {error}")
    curves = [
        *curve("loss", quantity, "steps", ends, result.of_best(losses.T).T),
        *curve("baseline", quantity, "steps", ends, [[blind]] * len(ends), exact=True),
        *result.by_rate("steps by rate", "steps_to_half", reached),
    ]
    return Measured(values=values, curves=curves, facts=plan.facts(result.models, result.trained), missing=missing)


def in_blocks(losses: npt.NDArray[np.float64]) -> tuple[list[int], npt.NDArray[np.float64]]:
    """Return the last step of each block, counted from 1, and its mean losses (blocks, M), of losses (steps, M)."""
    size = max(1, len(losses) // BLOCKS)
    ends = list(range(size, len(losses) + 1, size))
    return ends, losses[: ends[-1]].reshape(len(ends), size, -1).mean(axis=1)


def steps_to(ends: list[int], losses: npt.NDArray[np.float64], low: float) -> npt.NDArray[np.float64]:
    """Return the end of the first block in which each model's loss (blocks, M) is at most `low`; NaN where none is."""
    under = losses <= low
    return np.where(under.any(axis=0), np.array(ends, float)[under.argmax(axis=0)], np.nan)
