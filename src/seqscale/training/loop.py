"""The loop: a fixed number of steps of Adam on many models at once, each at its own learning rate."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

LARGEST_GRADIENT = 1.0  # a model's gradient that is longer is cut to this length
WARM_UP = 0.05  # share of the steps in which the rate rises to its full size; it then falls as half a cosine wave
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8  # Kingma and Ba 2014, arXiv:1412.6980, algorithm 1
_SQUARED = 1e15  # a gradient's square is summed as it is up to here; of a larger one float32 would make infinity
_TELL_S = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What training left of M models.

    Attributes:
        rows: (M, P), the parameters at the end.
        losses: (steps, M), of every step's own batch before the step; not finite from where a model diverged.
        diverged: (M,), the step at which a model's loss or parameters stopped being finite; `steps`: never.
    """

    rows: Tensor
    losses: npt.NDArray[np.float64]
    diverged: npt.NDArray[np.int64]


def train(
    start: Tensor,
    rates: Tensor,
    losses: Callable[[Tensor, int], Tensor],
    steps: int,
    tell: Callable[[str], None],
) -> Trained:
    """Train M models, none of which sees another.

    Args:
        start: (M, P), their parameters.
        rates: (M,), their learning rates.
        losses: the parameters and the number of the step -> the loss of each model, (M,), on that step's batch.
        steps: how many.
        tell: takes a few words about once a second.
    """
    rows = start.detach().clone().requires_grad_()
    first, second = torch.zeros_like(rows), torch.zeros_like(rows)
    kept: list[Tensor] = []
    told = time.monotonic()
    for step in range(steps):
        loss = losses(rows, step)
        (gradient,) = torch.autograd.grad(loss.sum(), rows)
        kept.append(loss.detach())
        if time.monotonic() - told > _TELL_S:
            told = time.monotonic()
            finite = kept[-1][kept[-1].isfinite()]
            tell(f"step {step} of {steps}, {f'loss {finite.min():.3g}' if len(finite) else 'no finite loss'}")
        steepest = gradient.abs().amax(dim=1, keepdim=True)
        gradient = gradient / torch.where(steepest > _SQUARED, steepest, 1.0)
        length = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
        gradient = gradient * (LARGEST_GRADIENT / length.clamp(min=LARGEST_GRADIENT))
        first.lerp_(gradient, 1 - _BETA1)
        second.lerp_(gradient.square(), 1 - _BETA2)
        size = schedule(step, steps) / (1 - _BETA1 ** (step + 1))
        spread = second.div(1 - _BETA2 ** (step + 1)).sqrt_().add_(_EPSILON)
        with torch.no_grad():
            rows -= size * rates[:, None] * first / spread
    rows = rows.detach()
    history = torch.stack(kept).cpu().double().numpy()
    good = np.isfinite(history)
    ended = np.where(rows.isfinite().all(dim=1).cpu().numpy(), steps, steps - 1)
    return Trained(rows, history, np.where(good.all(axis=0), ended, good.argmin(axis=0)))


def schedule(step: int, steps: int) -> float:
    """Return the share of the full learning rate at a step: a linear rise, then half a cosine wave down to 0."""
    rise = max(1, round(WARM_UP * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 + 0.5 * math.cos(math.pi * (step - rise) / max(1, steps - rise))
