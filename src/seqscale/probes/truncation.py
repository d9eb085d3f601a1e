"""What is learned of an input L tokens ago when gradients go back k tokens only (capacity.md E6).

A stream of T tokens is cut into windows of k. Between two windows the state is carried over, without its gradient, or
starts afresh. The first windows, up to token L, are read and not scored, so that every target has its source in the
stream; the windows that are scored are whole ones.

trained=readout: the layer keeps the weights that it starts with, and a linear readout of its outputs is fitted by least
squares, which is what training that readout converges to, as its error has one minimum. Noise-free, so an upper bound.
trained=all: everything is trained, one window a step.

Outputs are the first d units of a recurrent layer's state: all of it where the width is the number of hidden units.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seqscale.errors import UnsupportedError
from seqscale.estimators.ridge import held_out_r2
from seqscale.estimators.split import Split
from seqscale.layers.build import DTYPES
from seqscale.probes.base import AbstractProbe, AbstractTrial, Tell, silent
from seqscale.probes.subject import layer_of
from seqscale.probes.trained import Plan, best_rates, by_rate, numbers_of
from seqscale.probes.trained_trial import Measured, TrainedTrial, curve
from seqscale.probes.windows import TruncatedSteps, Windows, truncated_gradients
from seqscale.records import Cell
from seqscale.tasks.seeds import TEST, VALIDATION
from seqscale.theory.baselines import truncation_ceiling
from seqscale.tracing.trace import preload, trace
from seqscale.training.loop import train

Floats = npt.NDArray[np.float64]

FITTED, HELD_OUT = 300, 1200  # streams that a readout is fitted to and scored on: R^2 to about 0.003
STREAMS = 256  # that score a trained model


@final
class TruncationProbe(AbstractProbe):
    """Measures R^2 of a delayed input, and how far a truncated gradient is from the whole one."""

    name: ClassVar[str] = "truncation"
    repeats: ClassVar[bool] = False
    alone: ClassVar[bool] = False

    def preload(self) -> None:
        """Import what a trace needs."""
        preload()

    def prepare(self, cell: Cell, tell: Tell = silent) -> AbstractTrial:
        """Choose the cell; the models are built when they are measured."""
        return TrainedTrial(partial(measure, Plan.of(cell)), tell)


def measure(plan: Plan, tell: Tell) -> Measured:
    """Train or fit, and compare gradients."""
    layers = plan.layers()
    windows = Windows(plan, layers)
    given = dict(plan.cell.conditions)
    found = fitted(windows) if given["trained"] == "readout" else all_trained(windows, tell)
    cosine, ratio = truncated_gradients(windows)
    values: dict[str, Any] = {**found.values, "gradient_cosine": cosine, "gradient_ratio": ratio}
    missing = list(found.missing)
    if None in cosine:
        missing.append("gradient_cosine: a gradient by the layer's own parameters is zero")
    for name, count in (("state_numbers", lambda: numbers_of(plan, layers[0])), ("saved_bytes", lambda: kept(windows))):
        try:
            values[name] = [count()] * plan.replicates
        except UnsupportedError as error:
            missing.append(f"{name}: {error}")
    curves = list(found.curves)
    if not windows.carried:
        ceiling = float(truncation_ceiling(windows.lag, windows.window))
        curves += curve("ceiling", "r2", "window", [windows.window], [[ceiling]], exact=True)
    scored = {"tokens scored": windows.last - windows.first, "tokens read before": windows.first}
    return Measured(values=values, curves=curves, facts={**found.facts, **scored}, missing=missing)


def fitted(windows: Windows) -> Measured:
    """Return R^2 of the readout by least squares of each replicate's outputs."""
    plan = windows.plan
    rows = windows.models.start(1)
    inputs, targets = windows.streams(FITTED + HELD_OUT, TEST)
    parts = [windows.outputs(rows, part) for part in inputs.split(plan.sequences, dim=1)]
    seen = torch.cat(parts, dim=1).double().cpu().numpy()
    fit, held_out = np.split(np.arange(seen.shape[1] * seen.shape[2]), [FITTED * seen.shape[2]])
    split = Split(train=fit, validation=fit, test=held_out)  # with one penalty there is nothing to choose
    r2 = [
        float(held_out_r2(y.reshape(-1, y.shape[-1]), u.reshape(-1, 1), split, (0.0,))[0])
        for y, u in zip(seen, targets.double().cpu().numpy(), strict=True)
    ]
    facts = {"readout": "least squares", "streams fitted to": FITTED, "streams scored on": HELD_OUT}
    return Measured(values={"r2": r2}, curves=[], facts=facts)


def all_trained(windows: Windows, tell: Tell) -> Measured:
    """Return R^2 on fresh streams after training everything, one window a step."""
    plan, models = windows.plan, windows.models
    rates = plan.tensor(np.tile(plan.rates, plan.replicates))
    trained = train(models.start(len(plan.rates)), rates, TruncatedSteps(windows), plan.steps, tell)
    validation, test = (r2_of(windows, trained.rows, use) for use in (VALIDATION, TEST))
    best = best_rates(plan, trained, -validation)
    chosen = test.reshape(plan.replicates, -1)[np.arange(plan.replicates), best]
    return Measured(
        values={"r2": chosen.tolist(), "learning_rate": [plan.rates[i] for i in best]},
        curves=by_rate(plan, "r2 by rate", "r2", test),
        facts=plan.facts(models, trained) | {"validation": STREAMS, "test": STREAMS},
    )


def r2_of(windows: Windows, rows: Tensor, use: int) -> Floats:
    """Return R^2 of all models on fresh streams, (M,)."""
    plan = windows.plan
    inputs, targets = windows.streams(STREAMS, use)
    with torch.no_grad():
        parts = [windows.models.read(rows, windows.outputs(rows, i)) for i in inputs.split(plan.sequences, dim=1)]
    answers = torch.cat(parts, dim=1).squeeze(-1).double()
    right = targets.double().repeat_interleave(len(rows) // len(targets), dim=0)
    spread = right.var((1, 2))
    return (1 - (answers - right).square().mean((1, 2)) / spread).cpu().numpy()


def kept(windows: Windows) -> int:
    """Return the bytes that autograd keeps of one window, for the cell's own batch."""
    cell = windows.plan.cell
    shape = (cell.batch, windows.window, cell.width)
    counts = trace(layer_of(cell).module, shape, DTYPES[cell.dtype], "training").counts
    counts.require_known_sizes()
    return counts.saved_bytes
