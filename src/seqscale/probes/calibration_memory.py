"""The checks of what is read of linear memories, of Fisher information, and of Lyapunov exponents."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seqscale.layers.adapt import capabilities
from seqscale.layers.base import AbstractLayer
from seqscale.layers.build import Built
from seqscale.layers.diagonal import Diagonal
from seqscale.layers.elman import Elman
from seqscale.layers.linear import LinearRecurrence
from seqscale.probes import fisher_memory, gradient_horizon, memory_curve
from seqscale.probes.calibration_base import SIGMAS, Check, Comparison, asked, between, curve
from seqscale.probes.replicates import data_of
from seqscale.probes.state import Carrier
from seqscale.probes.subject import layer_of
from seqscale.records import Cell
from seqscale.theory.lyapunov import driven_tanh_exponent, orthogonal_exponent
from seqscale.theory.memory import (
    cyclic_staircase,
    delay_line_fisher,
    expected_held_out,
    harmonic,
    held_out_sd,
    linear_memory_curve,
)

Floats = npt.NDArray[np.float64]

UNITS, RADIUS, TOKENS, LAGS, NOISE = 32, 0.95, 128, 80, 1e-3
LINE, STEEP = 16, 4.0  # units of a delay line, and its gain where it amplifies
DRIVEN_UNITS, GAIN, DRIVE = 256, 1.5, 0.5


def check_memory_curve(cell: Cell) -> list[Comparison]:
    """Compare R^2 of linear networks at each lag, and in all, with closed forms.

    A readout scores between what least squares is expected to score held out and what the best readout would.
    """
    found = []
    for layer in ("cyclic", "orthogonal", "diagonal"):
        options = {"hidden": UNITS}
        measured_in = asked(cell, "memory-curve", layer, TOKENS, 8, options, lags=LAGS, noise=NOISE)
        replicate = memory_curve.measure(measured_in)
        r2, computed = (curve(replicate, name) for name in ("r2", "closed form"))
        known = _known_curve(measured_in)
        train, test = (int(replicate.facts[part]) for part in ("train", "test"))
        least = expected_held_out(known, UNITS, train)
        sd = held_out_sd(known, UNITS, train, test)
        found += [between(f"{layer}: R^2 at lag {k}", r2[k], least[k], known[k], SIGMAS * sd[k]) for k in range(LAGS)]
        total_sd = float(np.sqrt(np.square(sd).sum()))
        found.append(between(f"{layer}: capacity", float(r2.sum()), least.sum(), known.sum(), SIGMAS * total_sd))
        off = float(np.abs(computed - known).max())
        found.append(Comparison(what=f"{layer}: closed form", measured=off, known=0.0, allowed=1e-4))
    return found


def check_fisher_memory(cell: Cell) -> list[Comparison]:
    """Compare the total with 1 for normal matrices, after any number of tokens, and of a delay line with its own."""
    found, tokens = [], 2 * LINE
    for layer, scale in (("cyclic", 1.0), ("orthogonal", 1.0), ("diagonal", 1.0), ("elman-orthogonal", 1e-4)):
        options = {"hidden": UNITS}
        given = asked(cell, "fisher-memory", layer, tokens, 8, options, lags=tokens, scale=scale, sequences=2)
        total = fisher_memory.measure(given).values["fisher_memory"]
        found.append(Comparison(what=f"{layer}: total", measured=total, known=1.0, allowed=1e-5))
    for gain, known in ((1.0, harmonic(LINE)), (STEEP, float(delay_line_fisher(LINE, STEEP).sum()))):
        line = LinearRecurrence(1, "reference", gain * torch.diag(torch.ones(LINE - 1), -1), torch.eye(LINE)[:, :1])
        u = data_of(cell).standard_normal((1, LINE))
        j, _ = fisher_memory.fisher(_carrier(line, cell), u, 1.0, LINE)
        found.append(
            Comparison(what=f"delay line of gain {gain:g}: total", measured=float(j.sum()), known=known, allowed=1e-9)
        )
    return found


def check_lyapunov(cell: Cell) -> list[Comparison]:
    """Compare exponents of an orthogonal network, of one at rest, and of a driven one."""
    rng = data_of(cell)
    orthogonal = asked(cell, "gradient-horizon", "orthogonal", 8, 8, {"hidden": UNITS, "radius": RADIUS})
    carrier = Carrier(layer_of(_in_float64(orthogonal)), 8, "float64", cell.device)
    found = gradient_horizon.exponents(carrier, 1.0, 4, rng)
    known = orthogonal_exponent(RADIUS)
    comparisons = [
        Comparison(what=f"orthogonal: exponent {i + 1}", measured=float(value), known=known, allowed=1e-6)
        for i, value in enumerate(found.values)
    ]
    for what, units, gain, scale, allowed in (
        ("at rest", UNITS, 0.5, 0.0, 0.01),
        ("driven", DRIVEN_UNITS, GAIN, 1.0, 0.02),
    ):
        # driven: at this size the mean field is 0.005 off, and draws scatter by 0.004 (16 draws)
        w = gain * torch.as_tensor(rng.standard_normal((units, units)) / units**0.5)
        largest = float(np.abs(np.linalg.eigvals(w.numpy())).max())
        value = driven_tanh_exponent(gain, DRIVE) if scale else orthogonal_exponent(largest)
        carrier = _carrier(_tanh(w, DRIVE * torch.eye(units)), cell)
        measured = float(gradient_horizon.exponents(carrier, scale, 1, rng).values[0])
        comparisons.append(Comparison(what=f"tanh {what}", measured=measured, known=value, allowed=allowed))
    return comparisons


CHECKS: Mapping[str, Check] = {
    "memory-curve": check_memory_curve,
    "fisher-memory": check_fisher_memory,
    "lyapunov": check_lyapunov,
}


def _known_curve(cell: Cell) -> Floats:
    """Return R^2 by lag of the cell's layer from its parameters, without the probe's own way to its matrices."""
    if cell.layer == "cyclic":  # at rest: RADIUS**(2 * TOKENS) is 2e-6
        return cyclic_staircase(UNITS, RADIUS, LAGS)
    module = layer_of(_in_float64(cell)).module
    if isinstance(module, Diagonal):
        a = torch.exp(-torch.exp(module.nu))
        w, entering = torch.diag(a), torch.sqrt(1 - a**2) * module.in_projection.weight[:, 0]
    else:
        assert isinstance(module, LinearRecurrence)
        w, entering = module.w, module.u[:, 0]
    w_h, column = w.detach().cpu().numpy(), entering.detach().cpu().numpy()
    spread = sum(np.square(np.linalg.matrix_power(w_h, k) @ column).mean() for k in range(TOKENS))
    return linear_memory_curve(w_h, column, LAGS, NOISE**2 * spread, TOKENS)


def _tanh(w: Tensor, u: Tensor) -> Elman:
    """Return an Elman network of these matrices, without biases."""
    layer = Elman(u.shape[1], hidden=w.shape[0]).double()
    w_x, w_h, *biases = layer.core.all_weights[0]
    with torch.no_grad():
        w_x.copy_(u)
        w_h.copy_(w)
        for bias in biases:
            bias.zero_()
    return layer


def _carrier(module: AbstractLayer, cell: Cell) -> Carrier:
    module = module.double().to(cell.device)
    return Carrier(
        Built(module=module, capabilities=capabilities(module), notes=()), module.width, "float64", cell.device
    )


def _in_float64(cell: Cell) -> Cell:
    return dataclasses.replace(cell, dtype="float64")
