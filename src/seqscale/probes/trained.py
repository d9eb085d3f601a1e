"""What the probes that train share: the models and the data of a cell, the choice of a learning rate, the document."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from seqscale.errors import SeqscaleError, UnsupportedError
from seqscale.layers.build import DTYPES, Built
from seqscale.probes.base import Tell
from seqscale.probes.information import RATES, whole
from seqscale.probes.state import Carrier
from seqscale.probes.subject import layer_of
from seqscale.probes.trained_trial import curve
from seqscale.profiles import Profile
from seqscale.records import Cell
from seqscale.tasks.base import AbstractTask, Sequences
from seqscale.tasks.seeds import TEST, TRAIN, VALIDATION, WEIGHTS, stream
from seqscale.training.loop import Trained, train
from seqscale.training.models import Models
from seqscale.training.ways import Way, way_of

Floats = npt.NDArray[np.float64]
Answer = Callable[[Models, Tensor, Tensor, Tensor], Tensor]

SCORED = {VALIDATION: 512, TEST: 1024}  # sequences of each replicate


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What of a cell says how it is trained.

    Attributes:
        cell: the cell; replicate r has the weights of seed `cell.seed` + r.
        replicates: R.
        rates: L learning rates, rising.
        steps: of training.
        sequences: of one step.
    """

    cell: Cell
    replicates: int
    rates: tuple[float, ...]
    steps: int
    sequences: int

    @classmethod
    def of(cls, cell: Cell) -> Self:
        """Read a cell's conditions; UnsupportedError for a dtype that cannot be trained in."""
        if cell.dtype == "bfloat16":
            raise UnsupportedError("models are trained in float32 or float64: in bfloat16 small updates are lost.")
        given = dict(cell.conditions)
        return cls(
            cell=cell,
            replicates=whole(given, "replicates"),
            rates=tuple(sorted(set(RATES.numbers(given["rates"])))),
            steps=whole(given, "steps"),
            sequences=whole(given, "sequences"),
        )

    def layers(self) -> list[Built]:
        """Build each replicate's layer, by the algorithm that trains it fastest."""
        way = self._way()
        seeds = range(self.cell.seed, self.cell.seed + self.replicates)
        return [layer_of(dataclasses.replace(self.cell, seed=seed, algorithm=way.algorithm)) for seed in seeds]

    def _way(self) -> Way:
        return way_of(self.cell.layer, self.cell.algorithm, self.cell.device)

    def models(
        self, layers: Sequence[Built], *, features: int, seen: int, answers: int, embedding: Floats | None = None
    ) -> Models:
        """Return the models of all replicates."""
        return Models(
            [layer.module for layer in layers],
            width=self.cell.width,
            features=features,
            seen=seen,
            answers=answers,
            rngs=[stream(self.cell.seed, r, WEIGHTS) for r in range(self.replicates)],
            together=self._way().together,
            like=self.tensor(np.zeros(1)),
            embedding=embedding,
        )

    def tensor(self, values: npt.NDArray[Any]) -> Tensor:
        """Return an array on the cell's device, numbers in its dtype."""
        dtype = DTYPES[self.cell.dtype] if values.dtype.kind == "f" else None
        return torch.as_tensor(values).to(self.cell.device, dtype)

    def draw(self, task: AbstractTask, sequences: int, use: int, step: int = 0) -> Sequences:
        """Return sequences of every replicate, each from a stream of its own; every array is (R, n, ...)."""
        rngs = [stream(self.cell.seed, r, use, step) for r in range(self.replicates)]
        drawn = [task.draw(sequences, rng) for rng in rngs]
        return Sequences(*(np.stack([getattr(s, f.name) for s in drawn]) for f in dataclasses.fields(Sequences)))

    def facts(self, models: Models, trained: Trained) -> dict[str, Any]:
        """Return how it was trained, for the document."""
        way = dataclasses.replace(self._way(), together=models.together)
        return {
            "computed by": way.text(),
            "optimiser": "Adam, gradients of a model at most 1 long, rates risen over 5 % of the steps, then a cosine",
            "steps": self.steps,
            "sequences of a step": self.sequences,
            "learning rates": self.rates,
            "validation": SCORED[VALIDATION],
            "test": SCORED[TEST],
            "diverged": [
                {
                    "replicate": int(m) // len(self.rates),
                    "learning rate": self.rates[m % len(self.rates)],
                    "step": int(step),
                }
                for m, step in enumerate(trained.diverged)
                if step < self.steps
            ],
            "seeds": [self.cell.seed + r for r in range(self.replicates)],
            "device": self.cell.device,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """What M models answered.

    Attributes:
        asked: the sequences, each array (R, n, A).
        given: (M, n, A), the answers.
        losses: (M, n, A), what they cost.
    """

    asked: Sequences
    given: npt.NDArray[Any]
    losses: Floats

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Which answers are right, (M, n, A)."""
        return self.given == np.repeat(self.asked.answers, len(self.given) // len(self.asked.answers), axis=0)


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What training one task left.

    Attributes:
        models: the models.
        trained: their parameters and losses.
        validation, test: what all of them answer at the end.
        best: (R,), the rate of each replicate with the least loss on validation.
    """

    plan: Plan
    models: Models
    trained: Trained
    validation: Scored
    test: Scored
    best: npt.NDArray[np.int64]

    def of_best(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return of values (M, ...) those of each replicate's best rate, (R, ...)."""
        return values.reshape(len(self.best), -1, *values.shape[1:])[np.arange(len(self.best)), self.best]

    def best_rows(self) -> Tensor:
        """Return the parameters at each replicate's best rate, (R, P)."""
        return self.trained.rows.unflatten(0, (len(self.best), -1))[range(len(self.best)), self.best]

    def rates(self) -> list[float]:
        """Return each replicate's best rate."""
        return [self.plan.rates[i] for i in self.best]

    def by_rate(self, name: str, quantity: str, values: Floats) -> list[Profile]:
        """Return the curve of values (M,) by learning rate, of the rates at which no replicate diverged."""
        finite = np.isfinite(self.test.losses.mean((1, 2)))
        return by_rate(self.plan, name, quantity, np.where(finite, values, np.nan))


def numbers_of(plan: Plan, layer: Built) -> int:
    """Return how many numbers the state of one sequence holds after the cell's length; UnsupportedError without one."""
    cell = plan.cell
    carrier = Carrier(layer, cell.width, cell.dtype, cell.device)
    with torch.no_grad():
        return carrier.last(carrier.tensor(np.zeros((2, cell.length, cell.width)))).shape[1]


def picked(models: Models, rows: Tensor, features: Tensor, positions: Tensor) -> Tensor:
    """Return the answers (M, b, A, outputs) read off the layers' outputs at the positions (R, b, A) of the answers."""
    y = models.run(rows, models.embed(rows, features))
    return models.read(rows, at(y, positions))


def at(y: Tensor, positions: Tensor) -> Tensor:
    """Return y (M, b, t, d) at positions (R, b, A): (M, b, A, d)."""
    copies = positions.repeat_interleave(len(y) // len(positions), dim=0)
    return y.gather(2, copies.unsqueeze(-1).expand(*copies.shape, y.shape[-1]))


def cost(given: Tensor, answers: Tensor) -> Tensor:
    """Return what each answer costs, (M, b, A): squared error where it is one number, else cross entropy [nat].

    Args:
        given: (M, b, A, outputs). answers: (R, b, A).
    """
    right = answers.repeat_interleave(len(given) // len(answers), dim=0)
    if given.shape[-1] == 1:
        return (given.squeeze(-1) - right).square()
    return F.cross_entropy(given.flatten(0, 2), right.flatten(), reduction="none").view(right.shape)


def train_on(plan: Plan, task: AbstractTask, models: Models, answer: Answer, tell: Tell) -> Result:
    """Train all models on a task, and score them on fresh sequences; SeqscaleError where every rate diverged."""

    def losses(rows: Tensor, step: int) -> Tensor:
        drawn = plan.draw(task, plan.sequences, TRAIN, step)
        features, positions, right = map(plan.tensor, (drawn.inputs, drawn.positions, drawn.answers))
        return cost(answer(models, rows, features, positions), right).mean((1, 2))

    rates = plan.tensor(np.tile(plan.rates, plan.replicates))
    trained = train(models.start(len(plan.rates)), rates, losses, plan.steps, tell)
    validation, test = (score(plan, task, models, trained.rows, answer, use) for use in (VALIDATION, TEST))
    best = best_rates(plan, trained, validation.losses.mean((1, 2)))
    return Result(plan, models, trained, validation, test, best)


def score(plan: Plan, task: AbstractTask, models: Models, rows: Tensor, answer: Answer, use: int) -> Scored:
    """Return what models of parameters `rows` answer on fresh sequences."""
    asked = plan.draw(task, SCORED[use], use)
    given, losses = [], []
    for first in range(0, SCORED[use], plan.sequences):
        part = slice(first, first + plan.sequences)
        features, positions, right = (
            plan.tensor(values[:, part]) for values in (asked.inputs, asked.positions, asked.answers)
        )
        with torch.no_grad():
            said = answer(models, rows, features, positions)
            given.append(said.squeeze(-1) if said.shape[-1] == 1 else said.argmax(-1))
            losses.append(cost(said, right).double())
    return Scored(asked, torch.cat(given, dim=1).cpu().numpy(), torch.cat(losses, dim=1).cpu().numpy())


def best_rates(plan: Plan, trained: Trained, validation: Floats) -> npt.NDArray[np.int64]:
    """Return the rate with the least loss on validation (M,) of each replicate, (R,).

    Raises:
        SeqscaleError: a replicate diverged at every rate.
    """
    usable = np.where(np.isfinite(validation), validation, np.inf).reshape(plan.replicates, -1)
    lost = np.isinf(usable).all(axis=1)
    if lost.any():
        steps = trained.diverged.reshape(usable.shape)[lost][0]
        where = ", ".join(f"{rate:g} at step {step}" for rate, step in zip(plan.rates, steps, strict=True))
        raise SeqscaleError(f"training diverged at every learning rate: {where} (replicate {int(lost.argmax())}).")
    return usable.argmin(axis=1)


def by_rate(plan: Plan, name: str, quantity: str, values: npt.NDArray[Any]) -> list[Profile]:
    """Return the curve of values (M,) by learning rate; rates at which any is not finite are left out."""
    table = values.reshape(plan.replicates, -1).T
    kept = [i for i, row in enumerate(table) if np.isfinite(row).all()]
    return curve(name, quantity, "learning rate", [plan.rates[i] for i in kept], table[kept])
