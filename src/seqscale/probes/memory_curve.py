"""How much of an input k tokens ago a linear readout of the state recovers (capacity.md E1).

Scalar white input enters through feature 0. Each sequence is read once, from its last state: windows of one sequence
would overlap. Where one step is linear the closed form of the same weights, at the same length, stands beside what is
measured, and what a readout by least squares is expected to score held out.
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt

from seqscale.estimators.ridge import held_out_r2
from seqscale.estimators.split import split_sequences
from seqscale.probes.base import AbstractProbe, AbstractTrial, Tell, silent
from seqscale.probes.information import real, whole
from seqscale.probes.readout import read_out
from seqscale.probes.replicates import Curve, Replicate, ReplicatesTrial, data_of, through_feature_0
from seqscale.probes.state import carrier_of, step_matrices
from seqscale.records import Cell
from seqscale.theory.memory import expected_held_out, linear_memory_curve

Floats = npt.NDArray[np.float64]

PENALTIES = (0.0, 1e-6, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)  # each lag has its own, chosen on validation sequences


@final
class MemoryCurveProbe(AbstractProbe):
    """Measures R^2 by lag, and its sum, the memory capacity (Jaeger 2001)."""

    name: ClassVar[str] = "memory-curve"
    repeats: ClassVar[bool] = False
    alone: ClassVar[bool] = False

    def preload(self) -> None:
        """Nothing beyond torch and numpy."""

    def prepare(self, cell: Cell, tell: Tell = silent) -> AbstractTrial:
        """Choose the cell; each replicate builds its layer."""
        facts = {"input": "normal, through feature 0", "penalties": PENALTIES, "device": cell.device}
        return ReplicatesTrial(measure, cell, facts, tell)


def measure(cell: Cell) -> Replicate:
    """Read sequences, and a readout of their last states for each lag."""
    given = dict(cell.conditions)
    lags, sequences = whole(given, "lags"), whole(given, "sequences")
    rng, carrier = data_of(cell), carrier_of(cell)
    u = rng.standard_normal((sequences, cell.length))
    (states,) = carrier.read(u, partial(through_feature_0, carrier, real(given, "scale")), (cell.length,))
    read = read_out(states, real(given, "noise"), rng)
    split = split_sequences(sequences, cell.seed)
    r2 = held_out_r2(read.noisy, u[:, ::-1][:, :lags], split, PENALTIES)
    closed, why = closed_form(cell)
    exact = {}
    if closed is not None:
        exact["closed form"] = closed
        exact["expected held out"] = expected_held_out(closed, read.noisy.shape[1], len(split.train))
    curves = {"r2": Curve(quantity="r2", by="lag", x=range(lags), values=r2)}
    curves |= {n: Curve(quantity="r2", by="lag", x=range(lags), values=v, exact=True) for n, v in exact.items()}
    return Replicate(
        values={"memory_capacity": float(r2.sum()), "state_numbers": read.numbers},
        curves=curves,
        facts={"train": len(split.train), "validation": len(split.validation), "test": len(split.test)},
        missing=why,
    )


def closed_form(cell: Cell) -> tuple[Floats | None, tuple[str, ...]]:
    """Return R^2 by lag of the cell's own weights, and what is missing: None where no step is linear.

    The noise that is read is the cell's share of the variance that the numbers of the state have at its length.
    """
    given = dict(cell.conditions)
    found = step_matrices(carrier_of(cell, "float64"))
    if found is None:
        return None, ()
    w, u = found
    column, spread = real(given, "scale") * u[:, 0], 0.0
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            moved = column
            for _ in range(cell.length):
                spread += float(np.square(moved).mean())
                moved = w @ moved
        variance = real(given, "noise") ** 2 * spread
        return linear_memory_curve(w, column, whole(given, "lags"), variance, cell.length), ()
    except ValueError as error:
        return None, (f"no closed form: {error}",)
