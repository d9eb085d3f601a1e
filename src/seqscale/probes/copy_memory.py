"""Copy-memory: repeat symbols after a delay, trained (capacity.md E9): what is learned, not what could be held."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import ClassVar, final

from seqscale.probes.base import AbstractProbe, AbstractTrial, Tell, silent
from seqscale.probes.half import half_way
from seqscale.probes.information import whole
from seqscale.probes.trained import Plan, picked, train_on
from seqscale.probes.trained_trial import Measured, TrainedTrial
from seqscale.records import Cell
from seqscale.tasks.copying import Copy


@final
class CopyMemoryProbe(AbstractProbe):
    """Measures how many steps of training halve ln V, the least loss without memory, and what is reached."""

    name: ClassVar[str] = "copy-memory"
    repeats: ClassVar[bool] = False
    alone: ClassVar[bool] = False

    def preload(self) -> None:
        """Nothing beyond torch and numpy."""

    def prepare(self, cell: Cell, tell: Tell = silent) -> AbstractTrial:
        """Choose the cell; the models are built when they are trained."""
        return TrainedTrial(partial(measure, Plan.of(cell)), tell)


def task_of(cell: Cell) -> Copy:
    """Return the task whose sequences have the cell's length."""
    given = dict(cell.conditions)
    memorised = whole(given, "memorised")
    return Copy(memorised=memorised, symbols=whole(given, "symbols"), delay=cell.length - 2 * memorised)


def measure(plan: Plan, tell: Tell) -> Measured:
    """Train, and read off how the loss fell."""
    task, layers = task_of(plan.cell), plan.layers()
    models = plan.models(layers, features=task.features, seen=plan.cell.width, answers=task.outputs)
    result = train_on(plan, task, models, picked, tell)
    found = half_way(result, layers[0], "loss", task.blind_loss)
    accuracy = {"accuracy": result.of_best(result.test.right).mean((1, 2))}
    return dataclasses.replace(found, values=found.values | accuracy)
