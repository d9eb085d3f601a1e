"""Copying all tokens out of a state of few bits, trained, against what counting allows (capacity.md E4).

A model reads T independent tokens; a linear readout for each of them then sees the last state, and nothing else. It is
trained end to end without rounding; only then is every number of the state rounded to 2^b levels, equally wide, between
the least and the largest value that it has on the validation sequences. What B = b N bits let one copy at most is
theory.bounds.copy_ceiling, whatever is trained; a model above it is a fault of the instrument.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from seqscale.errors import SeqscaleError, UnsupportedError
from seqscale.estimators.noise import quantise
from seqscale.layers.adapt import segment
from seqscale.probes.base import AbstractProbe, AbstractTrial, Tell, silent
from seqscale.probes.information import whole
from seqscale.probes.state import MOST_NUMBERS, Carrier
from seqscale.probes.trained import SCORED, Plan, Result, numbers_of, train_on
from seqscale.probes.trained_trial import Measured, TrainedTrial, curve
from seqscale.records import Cell
from seqscale.tasks.seeds import TEST, VALIDATION
from seqscale.tasks.tokens import TokenStream
from seqscale.theory.bounds import copy_ceiling, quantised_bits
from seqscale.training.models import Models

Floats = npt.NDArray[np.float64]

BITS = (1, 2, 3, 4, 6, 8, 16)
LARGEST_Z = 4.0  # standard errors that an accuracy may lie above a bound
ROUNDING = 1e-9

State = Callable[[nn.Module, Tensor], Tensor]


@final
class StateCeilingProbe(AbstractProbe):
    """Measures the accuracy of copying by the bits that a number of the state keeps, beside the counting bound."""

    name: ClassVar[str] = "state-ceiling"
    repeats: ClassVar[bool] = False
    alone: ClassVar[bool] = False

    def preload(self) -> None:
        """Nothing beyond torch and numpy."""

    def prepare(self, cell: Cell, tell: Tell = silent) -> AbstractTrial:
        """Choose the cell; the models are built when they are trained."""
        return TrainedTrial(partial(measure, Plan.of(cell)), tell)


def measure(plan: Plan, tell: Tell) -> Measured:
    """Train, round the states, and read them again."""
    cell, given = plan.cell, dict(plan.cell.conditions)
    task, asked = TokenStream(tokens=cell.length, symbols=whole(given, "symbols")), whole(given, "bits")
    layers = plan.layers()
    if not layers[0].capabilities.carries:
        raise UnsupportedError("the layer's forward gives no state, so no readout can be trained to see it.")
    numbers = numbers_of(plan, layers[0])
    if numbers > MOST_NUMBERS:
        raise UnsupportedError(f"the state holds {numbers:,} numbers; a readout sees {MOST_NUMBERS:,} at most.")
    models = plan.models(layers, features=task.features, seen=numbers, answers=task.length * task.outputs)
    state = partial(last_state, Carrier(layers[0], cell.width, cell.dtype, cell.device))
    result = train_on(plan, task, models, partial(copied, task, state), tell)
    levels = sorted({*BITS, asked})
    accuracy = rounded(result, task, state, levels)
    ceiling = copy_ceiling(quantised_bits(numbers, levels), task.length, task.symbols)
    refuse_above(accuracy, ceiling, levels)
    at = levels.index(asked)
    each = plan.replicates
    return Measured(
        values={
            "accuracy": accuracy[at].mean(-1).tolist(),
            "accuracy_ceiling": [float(ceiling[at])] * each,
            "chance": [task.chance] * each,
            "learning_rate": result.rates(),
            "state_numbers": [numbers] * each,
        },
        curves=[
            *curve("accuracy", "accuracy", "bits", levels, accuracy.mean(-1)),
            *curve("ceiling", "accuracy_ceiling", "bits", levels, ceiling[:, None], exact=True),
            *result.by_rate("accuracy by rate", "accuracy", result.test.right.mean((1, 2))),
        ],
        facts=plan.facts(models, result.trained),
    )


def last_state(carrier: Carrier, layer: nn.Module, x: Tensor) -> Tensor:
    """Return the numbers of a layer's state (b, N) after x (b, t, d)."""
    return carrier.flat(segment(layer, x, None)[1])


def copied(
    task: TokenStream, state: State, models: Models, rows: Tensor, features: Tensor, positions: Tensor
) -> Tensor:
    """Return the answers (M, b, T, V) that the readouts give to the last states."""
    seen = models.each(state, rows, models.embed(rows, features))
    return models.read(rows, seen.unsqueeze(2)).squeeze(2).unflatten(-1, (task.length, task.symbols))


def states_of(result: Result, state: State, use: int) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return the last states (R, n, N) of each replicate's best model on fresh sequences, and the tokens (R, n, T)."""
    plan, models, rows = result.plan, result.models, result.best_rows()
    asked = result.validation.asked if use == VALIDATION else result.test.asked
    with torch.no_grad():
        parts = [
            models.each(state, rows, models.embed(rows, plan.tensor(asked.inputs[:, i : i + plan.sequences])))
            for i in range(0, SCORED[use], plan.sequences)
        ]
    return torch.cat(parts, dim=1).double().cpu().numpy(), asked.answers.astype(np.int64)


def rounded(result: Result, task: TokenStream, state: State, levels: Sequence[int]) -> Floats:
    """Return the share of tokens copied right of each test sequence, (levels, R, n), by bits that a number keeps."""
    seen, _ = states_of(result, state, VALIDATION)
    low, high = seen.min(axis=1, keepdims=True), seen.max(axis=1, keepdims=True)
    span = high - low  # of a number that never moves it is 0: the number is kept as it is
    seen, tokens = states_of(result, state, TEST)
    rows, found = result.best_rows(), []
    for bits in levels:
        kept = low + span * quantise((seen - low) / np.where(span > 0, span, 1.0), bits, 0.0, 1.0)
        with torch.no_grad():
            said = result.models.read(rows, result.plan.tensor(kept).unsqueeze(2))
        copied = said.unflatten(-1, (task.length, task.symbols)).argmax(-1).squeeze(2).cpu().numpy()
        found.append((copied == tokens).mean(axis=2))
    return np.array(found)


def refuse_above(right: Floats, ceiling: Floats, levels: Sequence[int]) -> None:
    """Raise SeqscaleError where an accuracy, the mean of right (levels, R, n) over n, is surely above its ceiling."""
    error = right.std(axis=2, ddof=1) / np.sqrt(right.shape[2])
    above = right.mean(axis=2) - ceiling[:, None] > LARGEST_Z * error + ROUNDING
    if above.any():
        i, r = np.argwhere(above)[0]
        raise SeqscaleError(
            f"fault of the instrument: at {levels[i]} bits an accuracy of {right[i, r].mean():.4f}, "
            f"where counting allows {ceiling[i]:.4f} (replicate {r})."
        )
