"""Associative recall: constructed, rebound, or trained (capacity.md E5).

Trained: every layer reads the same tokens, a pair in one of them unless it is asked otherwise, so that what is compared
is memory and not how a key finds the value beside it. What only remembers which values came, and not with which key, is
right more often than by chance: `keyless_accuracy` is how often (AssociativeRecall.keyless).
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, final

import numpy as np
import numpy.typing as npt
import torch

from seqscale.errors import UnsupportedError
from seqscale.probes.base import AbstractProbe, AbstractTrial, Tell, silent
from seqscale.probes.information import whole
from seqscale.probes.recall_constructed import constructed_trial
from seqscale.probes.trained import Plan, Result, at, numbers_of, picked, train_on
from seqscale.probes.trained_trial import Measured, TrainedTrial, curve
from seqscale.profiles import Profile
from seqscale.records import Cell
from seqscale.tasks.recall import AssociativeRecall

ZOOLOGY_POWER = 0.01  # of the gaps, in the task's published program
EARLY = 4  # the oldest quarter


@final
class RecallProbe(AbstractProbe):
    """Measures how many values are recalled by their keys."""

    name: ClassVar[str] = "recall"
    repeats: ClassVar[bool] = False
    alone: ClassVar[bool] = False

    def preload(self) -> None:
        """Nothing beyond torch and numpy."""

    def prepare(self, cell: Cell, tell: Tell = silent) -> AbstractTrial:
        """Choose the form of the cell."""
        if dict(cell.conditions)["form"] != "trained":
            return constructed_trial(cell)
        return TrainedTrial(partial(measure, Plan.of(cell)), tell)


def task_of(cell: Cell) -> AssociativeRecall:
    """Return the task of a cell: with gaps=power Zoology's, its values fresh and its blanks filled, else plain."""
    given = dict(cell.conditions)
    zoology = given["gaps"] == "power"
    return AssociativeRecall(
        pairs=whole(given, "pairs"),
        keys=whole(given, "keys"),
        values=whole(given, "symbols"),
        tokens=cell.length,
        apart=given["packing"] == "apart",
        power=ZOOLOGY_POWER if zoology else 1.0,
        fresh=zoology,
        fillers=whole(given, "symbols") if zoology else 0,
    )


def measure(plan: Plan, tell: Tell) -> Measured:
    """Train, and ask fresh sequences; then once more in two segments, pairs and queries."""
    task, layers = task_of(plan.cell), plan.layers()
    models = plan.models(layers, features=task.features, seen=plan.cell.width, answers=task.outputs)
    result = train_on(plan, task, models, picked, tell)
    right = result.of_best(result.test.right)
    early = max(1, task.pairs // EARLY)
    values: dict[str, Any] = {
        "accuracy": right.mean((1, 2)),
        "early_accuracy": right[:, :, :early].mean((1, 2)),  # answer i is of pair i
        "chance": [task.chance] * plan.replicates,
        "keyless_accuracy": [task.keyless] * plan.replicates,
        "source_bits": [task.demand_bits] * plan.replicates,
        "learning_rate": result.rates(),
    }
    missing = []
    if layers[0].capabilities.carries:
        try:
            values |= in_segments(result, task)
        except UnsupportedError as error:
            missing.append(f"carried_accuracy, reset_accuracy: {error}")
    else:
        missing.append("the layer's forward takes no state, so no sequence of it can be cut in two")
    try:
        values["state_numbers"] = [numbers_of(plan, layers[0])] * plan.replicates
    except UnsupportedError as error:
        missing.append(f"state_numbers: {error}")
    curves = [
        *by_distance(result.test.asked.distances, right),
        *result.by_rate("accuracy by rate", "accuracy", result.test.right.mean((1, 2))),
        *result.by_rate("validation by rate", "accuracy", result.validation.right.mean((1, 2))),
    ]
    return Measured(values=values, curves=curves, facts=plan.facts(models, result.trained), missing=missing)


def in_segments(result: Result, task: AssociativeRecall) -> dict[str, npt.NDArray[np.float64]]:
    """Return the accuracy of each replicate's best model where pairs and queries are two segments.

    `carried_accuracy`: the second starts from the state that the first left; `reset_accuracy`: it starts afresh.
    """
    plan, models, asked, rows = result.plan, result.models, result.test.asked, result.best_rows()
    right: dict[str, list[npt.NDArray[np.bool_]]] = {"carried_accuracy": [], "reset_accuracy": []}
    for first in range(0, asked.answers.shape[1], plan.sequences):
        part = slice(first, first + plan.sequences)
        queried = plan.tensor(asked.positions[:, part] - task.context)
        with torch.no_grad():
            x = models.embed(rows, plan.tensor(asked.inputs[:, part]))
            _, state = models.carry(rows, x[:, :, : task.context], None)
            for name, start in (("carried_accuracy", state), ("reset_accuracy", None)):
                y, _ = models.carry(rows, x[:, :, task.context :], start)
                said = models.read(rows, at(y, queried)).argmax(-1).cpu().numpy()
                right[name].append(said == asked.answers[:, part])
    return {name: np.concatenate(parts, axis=1).mean((1, 2)) for name, parts in right.items()}


def by_distance(distances: npt.NDArray[np.int64], right: npt.NDArray[np.bool_]) -> list[Profile]:
    """Return the accuracy by distance, at those that every replicate has, from (R, n, A) of both."""
    asked = np.array([np.bincount(d.ravel(), minlength=distances.max() + 1) for d in distances])
    good = np.array([np.bincount(d.ravel(), r.ravel(), asked.shape[1]) for d, r in zip(distances, right, strict=True)])
    kept = np.flatnonzero(asked.all(axis=0))
    return curve("accuracy by distance", "accuracy", "distance", kept.tolist(), (good[:, kept] / asked[:, kept]).T)
