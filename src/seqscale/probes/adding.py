"""The adding problem, trained (capacity.md E9): what is learned, not what could be held."""

from __future__ import annotations

from functools import partial
from typing import ClassVar, final

from seqscale.probes.base import AbstractProbe, AbstractTrial, Tell, silent
from seqscale.probes.half import half_way
from seqscale.probes.trained import Plan, picked, train_on
from seqscale.probes.trained_trial import Measured, TrainedTrial
from seqscale.records import Cell
from seqscale.tasks.adding import Adding


@final
class AddingProbe(AbstractProbe):
    """Measures how many steps of training halve 1/6, the least error of a guess, and what error is reached."""

    name: ClassVar[str] = "adding"
    repeats: ClassVar[bool] = False
    alone: ClassVar[bool] = False

    def preload(self) -> None:
        """Nothing beyond torch and numpy."""

    def prepare(self, cell: Cell, tell: Tell = silent) -> AbstractTrial:
        """Choose the cell; the models are built when they are trained."""
        return TrainedTrial(partial(measure, Plan.of(cell)), tell)


def measure(plan: Plan, tell: Tell) -> Measured:
    """Train, and read off how the error fell."""
    task, layers = Adding(tokens=plan.cell.length), plan.layers()
    models = plan.models(layers, features=task.features, seen=plan.cell.width, answers=task.outputs)
    result = train_on(plan, task, models, picked, tell)
    return half_way(result, layers[0], "squared_error", task.blind_loss)
