"""The nonlinear recurrences: each by its kernel, and by its layer's step with torch's own derivative."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from seqscale.kernels.elman import elman, elman_backward
from seqscale.kernels.gru import gru, gru_backward, gru_keeping
from seqscale.kernels.lstm import lstm, lstm_backward, lstm_keeping
from seqscale.layers.elman import elman_step
from seqscale.layers.gru import gru_step
from seqscale.layers.lstm import lstm_step

Arrays = dict[str, np.ndarray]
TOLERANCES = {"float64": 1e-10, "float32": 1e-5}


def assert_close(found: Arrays, wanted: Arrays) -> None:
    """Found arrays have the shapes and dtypes of those wanted, and differ by a little of the greatest."""
    assert found.keys() == wanted.keys()
    for name, value in found.items():
        assert (value.shape, value.dtype) == (wanted[name].shape, wanted[name].dtype), name
        if value.size:
            off = float(np.abs(value - wanted[name]).max())
            assert off <= TOLERANCES[value.real.dtype.name] * float(np.abs(wanted[name]).max()), (name, off)


def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let new memory be full of what is not a number."""

    def poisoned(make):
        def made(*args, **kwargs):
            array = make(*args, **kwargs)
            array.fill(np.nan)
            return array

        return made

    monkeypatch.setattr(np, "empty", poisoned(np.empty))
    monkeypatch.setattr(np, "empty_like", poisoned(np.empty_like))


@dataclass(frozen=True, slots=True)
class Recurrence:
    """One recurrence.

    Attributes:
        gates: how many the weights have rows for.
        states: names of what is carried from step to step; the first is the output.
        others: names of what else it is given, (m, h).
        forward: the kernel alone -> outputs, and the last of the other states.
        both: the kernel and its gradient -> the same, and gradients by name.
        step: (a_t, states, w, others) -> the states after, of one model.
    """

    gates: int
    states: tuple[str, ...]
    others: tuple[str, ...]
    forward: Callable[[Arrays, int], Arrays]
    both: Callable[[Arrays, int], Arrays]
    step: Callable[[Tensor, tuple[Tensor, ...], Mapping[str, Tensor]], tuple[Tensor, ...]]

    def draw(self, m: int, b: int, t: int, h: int, dtype: str, seed: int = 0) -> Arrays:
        """Return arguments and the gradients of the outputs, all normal numbers."""
        rng = np.random.default_rng(seed)
        shapes = {"a": (m, b, t, self.gates * h), "w": (m, self.gates * h, h), "gy": (m, b, t, h), "g_last": (m, b, h)}
        shapes |= dict.fromkeys(self.states, (m, b, h)) | dict.fromkeys(self.others, (m, h))
        drawn = {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}
        drawn["w"] /= np.sqrt(h).astype(dtype)
        return drawn

    def reference(self, given: Arrays) -> Arrays:
        """Return outputs and gradients by a loop over steps."""
        names = ("a", "w", *self.states, *self.others)
        leaves = {name: torch.tensor(given[name]).requires_grad_() for name in names}
        found, ends = [], []
        for m in range(len(given["a"])):
            own = {name: leaf[m] for name, leaf in leaves.items()}
            states, outputs = tuple(own[name] for name in self.states), []
            for a_t in own["a"].unbind(1):
                states = self.step(a_t, states, own)
                outputs.append(states[0])
            found.append(torch.stack(outputs, dim=1))
            ends.append(states[-1])
        y, last = torch.stack(found), torch.stack(ends)
        sources = {"gy": y, "g_last": last} if len(self.states) > 1 else {"gy": y}
        of_sources = [torch.tensor(given[name]) for name in sources]
        gradients = torch.autograd.grad(list(sources.values()), list(leaves.values()), of_sources)
        values = {"y": y, "last": last} | {f"gradient of {n}": g for n, g in zip(leaves, gradients, strict=True)}
        return {name: value.detach().numpy() for name, value in values.items()}


def before(y: np.ndarray, h: np.ndarray) -> np.ndarray:
    """Return the state before each step."""
    return np.concatenate([h[:, :, None], y[:, :, :-1]], axis=2)


def weights(ga: np.ndarray, h: np.ndarray) -> np.ndarray:
    """Return the gradient of W, a sum over batch and time."""
    return np.einsum("mbtg,mbth->mgh", ga, h)


def elman_forward(given: Arrays, threads: int) -> Arrays:
    y = elman(given["a"], given["h"], given["w"], threads)
    return {"y": y, "last": y[:, :, -1]}


def elman_both(given: Arrays, threads: int) -> Arrays:
    found = elman_forward(given, threads)
    ga, gh = elman_backward(given["gy"], found["y"], given["w"], threads)
    gradients = {"a": ga, "h": gh, "w": weights(ga, before(found["y"], given["h"]))}
    return found | {f"gradient of {name}": value for name, value in gradients.items()}


def elman_reference(a: Tensor, states: tuple[Tensor, ...], own: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    nothing = a.new_zeros(a.shape[-1])
    return (elman_step(a, states[0], torch.eye(a.shape[-1], dtype=a.dtype), own["w"], nothing, nothing),)


def gru_forward(given: Arrays, threads: int) -> Arrays:
    y = gru(given["a"], given["h"], given["w"], given["b_n"], threads)
    return {"y": y, "last": y[:, :, -1]}


def gru_both(given: Arrays, threads: int) -> Arrays:
    y, kept = gru_keeping(given["a"], given["h"], given["w"], given["b_n"], threads)
    ga, gp, gh = gru_backward(given["gy"], y, kept, given["h"], given["w"], threads)
    ends = 2 * y.shape[-1]
    of_w = weights(np.concatenate([ga[..., :ends], gp], axis=-1), before(y, given["h"]))
    gradients = {"a": ga, "h": gh, "w": of_w, "b_n": gp.sum((1, 2))}
    return {"y": y, "last": y[:, :, -1]} | {f"gradient of {name}": value for name, value in gradients.items()}


def gru_reference(a: Tensor, states: tuple[Tensor, ...], own: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    nothing = a.new_zeros(a.shape[-1])
    b_h = torch.cat([nothing[: 2 * own["w"].shape[-1]], own["b_n"]])
    return (gru_step(a, states[0], torch.eye(a.shape[-1], dtype=a.dtype), own["w"], nothing, b_h),)


def lstm_forward(given: Arrays, threads: int) -> Arrays:
    y, last = lstm(given["a"], given["h"], given["c"], given["w"], threads)
    return {"y": y, "last": last}


def lstm_both(given: Arrays, threads: int) -> Arrays:
    y, last, kept = lstm_keeping(given["a"], given["h"], given["c"], given["w"], threads)
    ga, gh, gc = lstm_backward(given["gy"], given["g_last"], kept, given["c"], given["w"], threads)
    gradients = {"a": ga, "h": gh, "c": gc, "w": weights(ga, before(y, given["h"]))}
    return {"y": y, "last": last} | {f"gradient of {name}": value for name, value in gradients.items()}


def lstm_reference(a: Tensor, states: tuple[Tensor, ...], own: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    nothing = a.new_zeros(a.shape[-1])
    return lstm_step(a, *states, torch.eye(a.shape[-1], dtype=a.dtype), own["w"], nothing, nothing)


RECURRENCES = {
    "elman": Recurrence(1, ("h",), (), elman_forward, elman_both, elman_reference),
    "gru": Recurrence(3, ("h",), ("b_n",), gru_forward, gru_both, gru_reference),
    "lstm": Recurrence(4, ("h", "c"), (), lstm_forward, lstm_both, lstm_reference),
}
every_recurrence = pytest.mark.parametrize("name", RECURRENCES)
