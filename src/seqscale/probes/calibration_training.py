"""The checks of what is trained: windows with reset, a task of known least loss, and losses without memory."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from seqscale.layers.build import DTYPES
from seqscale.probes import truncation
from seqscale.probes.base import silent
from seqscale.probes.calibration_base import SIGMAS, Check, Comparison, asked
from seqscale.probes.replicates import data_of
from seqscale.probes.subject import layer_of
from seqscale.probes.trained import Plan
from seqscale.records import Cell
from seqscale.tasks.adding import Adding
from seqscale.tasks.copying import Copy
from seqscale.theory.baselines import ADDING_BASELINE, copy_memory_baseline, truncation_ceiling
from seqscale.training.loop import train
from seqscale.training.models import Models

UNITS, RADIUS, LAG = 32, 0.95, 12
R2 = 0.02  # that a readout of outputs may be off the law of windows
NOISE, STEPS, BATCH, NUMBERS = 0.5, 400, 64, 8  # of the task that is trained


def check_truncation(cell: Cell) -> list[Comparison]:
    """Compare R^2 of a delayed input with max(0, 1 - L/k), the state of a ring reset every k tokens; carried, with 1.

    Up to UNITS + LAG tokens the ring holds every input alone, so that a readout loses nothing.
    """
    found = []
    for window, boundary, tokens in ((8, "reset", 64), (16, "reset", 64), (32, "reset", 64), (4, "carry", UNITS + LAG)):
        given = asked(
            cell, "truncation", "cyclic", tokens, UNITS, {"radius": RADIUS},
            window=window, boundary=boundary, lag=LAG, replicates=2, trained="readout",
        )  # fmt: skip
        known = float(truncation_ceiling(LAG, window)) if boundary == "reset" else 1.0
        what = f"windows of {window}, {boundary}: R^2"
        for r2 in truncation.measure(Plan.of(given), silent).values["r2"]:
            assert r2 is not None
            found.append(Comparison(what=what, measured=r2, known=known, allowed=R2))
    return found


def check_training(cell: Cell) -> list[Comparison]:
    """Compare the loss that a linear readout is trained to, on fresh data, with the variance of its task's noise."""
    rng = data_of(cell)
    layer = layer_of(asked(cell, "adding", "diagonal", 8, NUMBERS, {})).module
    like = torch.empty(0, device=cell.device, dtype=DTYPES[cell.dtype])
    models = Models(
        [layer, layer], width=NUMBERS, features=1, seen=NUMBERS, answers=1, rngs=[rng, rng], together=True, like=like
    )
    right = torch.as_tensor(rng.standard_normal(NUMBERS)).to(like)

    def losses(rows: Tensor, step: int, sequences: int = BATCH) -> Tensor:
        seen = torch.as_tensor(rng.standard_normal((len(rows), sequences, 1, NUMBERS))).to(like)
        noise = torch.as_tensor(NOISE * rng.standard_normal((len(rows), sequences))).to(like)
        answers = models.read(rows, seen)[:, :, 0, 0]
        return (answers - seen[:, :, 0] @ right - noise).square().mean(1)

    trained = train(models.start(1), torch.tensor([0.03, 0.1]).to(like), losses, STEPS, silent)
    sequences = 20000
    loss = losses(trained.rows, STEPS, sequences).tolist()
    least = NOISE**2
    # squared errors scatter by sqrt(2) of their mean; the last steps leave the readout at most a hundredth off
    allowed = SIGMAS * math.sqrt(2 / sequences) * least + 0.01 * least
    return [
        Comparison(what=f"loss of model {m}", measured=value, known=least, allowed=allowed)
        for m, value in enumerate(loss)
    ]


def check_baselines(cell: Cell) -> list[Comparison]:
    """Compare losses of the best answers without memory, on drawn sequences, with the exact baselines."""
    rng, sequences, found = data_of(cell), 8000, []
    for delay in (100, 500):
        task = Copy(memorised=10, symbols=8, delay=delay)
        first, second = (np.asarray(task.draw(sequences // 8, rng).answers, np.int64) for _ in range(2))
        # answers by the shares that each symbol has elsewhere at the same place: all that can be known without memory
        shares = np.stack([(first == v).mean(axis=0) for v in range(task.symbols)])
        surprise = -np.log(np.take_along_axis(shares, second, axis=0))
        measured = surprise.mean(axis=0).sum() / task.length
        known = copy_memory_baseline(10, 8, delay)
        # the shares are known from so many sequences only
        allowed = known * (task.symbols - 1) / len(first)
        found.append(Comparison(what=f"copy memory, delay {delay}", measured=measured, known=known, allowed=allowed))
    for tokens in (2, 50):
        answers = Adding(tokens=tokens).draw(sequences, rng).answers.astype(np.float64)
        squares = np.square(answers - 1)
        allowed = SIGMAS * float(squares.std(ddof=1)) / sequences**0.5
        found.append(
            Comparison(what=f"adding, {tokens} tokens", measured=squares.mean(), known=ADDING_BASELINE, allowed=allowed)
        )
    return found


CHECKS: Mapping[str, Check] = {
    "truncation": check_truncation,
    "training": check_training,
    "baselines": check_baselines,
}
