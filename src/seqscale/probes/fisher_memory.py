"""Fisher information about an input k tokens ago, with noise in every step of the state (capacity.md E2).

    C_t = A_t C_{t-1} A_t' + I,   v_k = A_T ... A_{T-k+1} w_{T-k},   J(k) = v_k' C_T^-1 v_k / mean |w|^2

with A_t = d h_t / d h_{t-1} and w_t = d h_t / d u_t along trajectories driven by normal u_t through feature 0: exact
where a step is linear (one trajectory then tells all), linearised along each trajectory elsewhere, and averaged. Each
number of the state gets as much noise in each step as the input moves the whole state: so all J(k) of a linear step
with a normal matrix sum to 1, and those of any linear step to at most N (Ganguli, Huh and Sompolinsky 2008).
"""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
import numpy.typing as npt
import torch

from seqscale.errors import SeqscaleError, UnsupportedError
from seqscale.probes.base import AbstractProbe, AbstractTrial, Tell, silent
from seqscale.probes.information import real, whole
from seqscale.probes.replicates import Curve, Replicate, ReplicatesTrial, data_of, require_finite, through_feature_0
from seqscale.probes.state import MOST_DIFFERENTIATED, Carrier, carrier_of, step_matrices
from seqscale.records import Cell

Floats = npt.NDArray[np.float64]


@final
class FisherMemoryProbe(AbstractProbe):
    """Measures the Fisher information by lag, and its sum."""

    name: ClassVar[str] = "fisher-memory"
    repeats: ClassVar[bool] = False
    alone: ClassVar[bool] = False

    def preload(self) -> None:
        """Nothing beyond torch and numpy."""

    def prepare(self, cell: Cell, tell: Tell = silent) -> AbstractTrial:
        """Choose the cell; each replicate builds its layer."""
        facts = {"input": "normal, through feature 0", "dtype": "float64", "device": cell.device}
        return ReplicatesTrial(measure, cell, facts, tell)


def measure(cell: Cell) -> Replicate:
    """Follow signal and noise through the steps.

    Raises:
        UnsupportedError: a state that grows, or one of more than MOST_DIFFERENTIATED numbers.
    """
    given, rng, carrier = dict(cell.conditions), data_of(cell), carrier_of(cell, "float64")
    if not carrier.fixed:
        raise UnsupportedError("the state grows: what it keeps is not rewritten, so no noise adds up in it.")
    if carrier.numbers > MOST_DIFFERENTIATED:
        raise UnsupportedError(f"{carrier.numbers} numbers in the state; {MOST_DIFFERENTIATED} at most are followed.")
    linear = step_matrices(carrier) is not None
    u = rng.standard_normal((1 if linear else whole(given, "sequences"), cell.length))
    lags = whole(given, "lags")
    j, gain = fisher(carrier, u, real(given, "scale"), lags)
    return Replicate(
        values={"fisher_memory": float(j.sum()), "state_numbers": carrier.numbers},
        curves={"fisher": Curve(quantity="fisher_memory", by="lag", x=range(lags), values=j)},
        facts={"trajectories": len(u), "mean square of w": gain},
    )


def fisher(carrier: Carrier, u: Floats, scale: float, lags: int) -> tuple[Floats, float]:
    """Return J(k) of k = 0..lags-1, (lags,), and the mean of |w|^2.

    Args:
        carrier: of a layer in float64.
        u: (b, T), of variance 1; the layer is fed scale * u.
        scale: of the input.
        lags: at most T.
    """
    x = through_feature_0(carrier, scale, u)
    state, h, squares = None, None, []
    noise = signal = x.new_zeros(len(u), carrier.numbers, 0)
    for t, x_t in enumerate(x.unbind(1)):
        by_state, by_input = carrier.jacobians(h, x_t)
        entering = scale * by_input[:, :, :1]
        squares.append(entering.square().sum(dim=(1, 2)).mean())
        signal = torch.cat((entering, by_state @ signal[:, :, : lags - 1]), dim=2)
        noise = torch.eye(carrier.numbers).to(x) + (by_state @ noise @ by_state.mT if t else 0)
        with torch.no_grad():
            _, state = carrier.advance(x_t.unsqueeze(1), state)
            h = carrier.flat(state)
            require_finite(f"the state after {t + 1} tokens", h)
    require_finite("the noise that has added up", noise)
    gain = float(torch.stack(squares).mean())
    if gain == 0:
        raise SeqscaleError("the input does not move the state, so nothing of it can be told.")
    found = (signal * torch.linalg.solve(noise, signal)).sum(dim=1).mean(dim=0) / gain
    return found.cpu().numpy(), gain
