"""Streams cut into windows, at whose edges gradients end; and the gradients that are lost there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from seqscale.errors import UnsupportedError
from seqscale.layers.build import Built
from seqscale.probes.information import real, whole
from seqscale.probes.trained import Plan
from seqscale.tasks.delay import DelayLine
from seqscale.tasks.seeds import TEST, TRAIN


@final
class Windows:
    """The windows of a cell's streams, and models that read them.

    Attributes:
        plan, lag, window: of the cell; the lag is L and the window k.
        carried: whether the state is carried over between windows.
        task: the delay line.
        first, last: the tokens that are scored, whole windows, are first <= t < last.
        models: with the input in feature 0 of the stream at the start.
    """

    def __init__(self, plan: Plan, layers: Sequence[Built]) -> None:
        cell, given = plan.cell, dict(plan.cell.conditions)
        self.plan = plan
        self.lag, self.window = whole(given, "lag"), whole(given, "window")
        self.carried = given["boundary"] == "carry"
        if self.carried and not layers[0].capabilities.carries:
            raise UnsupportedError(
                "the layer's forward takes no state, so none can be carried over; set boundary=reset."
            )
        self.task = DelayLine(tokens=cell.length, lag=self.lag)
        self.first = -(-self.lag // self.window) * self.window
        self.last = cell.length // self.window * self.window
        through_feature_0 = real(given, "scale") * np.eye(cell.width, 1)
        self.models = plan.models(layers, features=1, seen=cell.width, answers=1, embedding=through_feature_0)

    def streams(self, number: int, use: int, step: int = 0) -> tuple[Tensor, Tensor]:
        """Return inputs (R, n, T, 1), and targets (R, n, last - first) of the tokens that are scored."""
        drawn = self.plan.draw(self.task, number, use, step)
        targets = drawn.answers[:, :, self.first - self.lag : self.last - self.lag]
        return self.plan.tensor(drawn.inputs), self.plan.tensor(targets)

    def state_after(self, rows: Tensor, inputs: Tensor) -> Any:
        """Return the state that inputs (R, n, t, 1) leave, without gradients; None where none is carried."""
        if not self.carried or not inputs.shape[2]:
            return None
        with torch.no_grad():
            return self.models.carry(rows, self.models.embed(rows, inputs), None)[1]

    def read(self, rows: Tensor, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Return the outputs (M, n, k, d) of a window x, and the state to be carried into the next one."""
        if not self.carried:
            return self.models.run(rows, x), None
        y, after = self.models.carry(rows, x, state)
        return y, tree_map(lambda part: part.detach() if isinstance(part, Tensor) else part, after)

    def outputs(self, rows: Tensor, inputs: Tensor) -> Tensor:
        """Return the layers' outputs (M, n, last - first, d) at the tokens that are scored, without gradients."""
        with torch.no_grad():
            if self.carried:
                return self.models.run(rows, self.models.embed(rows, inputs[:, :, : self.last]))[:, :, self.first :]
            windows = inputs[:, :, self.first : self.last].unflatten(2, (-1, self.window)).flatten(1, 2)
            y = self.models.run(rows, self.models.embed(rows, windows))
            return y.unflatten(1, (inputs.shape[1], -1)).flatten(2, 3)


@final
class TruncatedSteps:
    """The losses of one window after another, for `train`; a stream that is used up is followed by a fresh one.

    What the first tokens of a stream leave in the state is carried into its first window, without gradients.
    """

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._of_one = (windows.last - windows.first) // windows.window
        self._inputs = self._targets = torch.empty(0)
        self._state: Any = None

    def __call__(self, rows: Tensor, step: int) -> Tensor:
        """Return the loss (M,) of one window."""
        w, at = self._windows, step % self._of_one * self._windows.window
        if at == 0:
            self._inputs, self._targets = w.streams(w.plan.sequences, TRAIN, step // self._of_one)
            self._state = w.state_after(rows, self._inputs[:, :, : w.first])
        x = w.models.embed(rows, self._inputs[:, :, w.first + at : w.first + at + w.window])
        y, self._state = w.read(rows, x, self._state)
        answers = w.models.read(rows, y).squeeze(-1)
        right = self._targets[:, :, at : at + w.window].repeat_interleave(len(rows) // len(self._targets), dim=0)
        return (answers - right).square().mean((1, 2))


def truncated_gradients(windows: Windows) -> tuple[list[float | None], list[float | None]]:
    """Return cosine and ratio of norms of the k-truncated and the whole gradient, at each replicate's first weights.

    Of one loss, the squared error at the last token of the cell's length, by the layer's own parameters; with
    boundary=reset the window is read from a fresh state, so that its loss is another. None where the whole gradient is
    zero.
    """
    plan, models, k = windows.plan, windows.models, min(windows.window, windows.task.length)
    drawn = plan.draw(windows.task, plan.sequences, TEST)
    inputs, right = plan.tensor(drawn.inputs), plan.tensor(drawn.answers[:, :, -1])
    rows = models.start(1).requires_grad_()

    def gradient(y: Tensor) -> Tensor:
        answers = models.read(rows, y[:, :, -1:]).flatten(1)
        (found,) = torch.autograd.grad((answers - right).square().mean(1).sum(), rows)
        return models.layer_part(found).double()

    full = gradient(models.run(rows, models.embed(rows, inputs)))
    before = windows.state_after(rows, inputs[:, :, : windows.task.length - k])
    cut = gradient(windows.read(rows, models.embed(rows, inputs[:, :, windows.task.length - k :]), before)[0])
    lengths, cut_lengths = full.norm(dim=1).tolist(), cut.norm(dim=1).tolist()
    products = (full * cut).sum(1).tolist()
    cosine = [_cosine(*three) for three in zip(products, lengths, cut_lengths, strict=True)]
    ratio = [b / a if a > 0 else None for a, b in zip(lengths, cut_lengths, strict=True)]
    return cosine, ratio


def _cosine(product: float, one: float, other: float) -> float | None:
    if not one * other > 0:
        return None
    return min(1.0, max(-1.0, product / (one * other)))  # rounding may leave it just outside
