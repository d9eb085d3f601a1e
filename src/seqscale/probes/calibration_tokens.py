"""The checks of bits about tokens, and of segments."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch

from seqscale.layers.linear import LinearRecurrence
from seqscale.probes import segments, token_bits
from seqscale.probes.calibration_base import SIGMAS, Check, Comparison, asked, between, curve
from seqscale.probes.replicates import Replicate
from seqscale.probes.subject import layer_of
from seqscale.records import Cell, Option
from seqscale.theory.memory import expected_held_out, held_out_sd

Floats = npt.NDArray[np.float64]

SYMBOLS, SEQUENCES = 8, 8000
TURNS = 4  # units that a token passes in a ring before it meets the entry of the next symbol
EMPTY = 0.002  # bits per token that a control may find: its standard error is some 0.0003
FULL = 0.02  # bits of log2 V that may be lost where a token is told without doubt: the decoder's temperature is finite


def check_token_bits(cell: Cell) -> list[Comparison]:
    """Compare bits of codes with what they hold: a delay line, no memory, a symbol in noise, an orthogonal network."""
    ring = _token_bits(cell, "cyclic", TURNS, SYMBOLS, {"hidden": TURNS * SYMBOLS}, symbols=SYMBOLS)
    bits, every = curve(ring, "bits"), math.log2(SYMBOLS)
    found = [
        Comparison(what=f"delay line: bits at distance {k}", measured=bits[k], known=every, allowed=FULL)
        for k in range(TURNS)
    ]
    forgets = _token_bits(cell, "cyclic", TURNS, SYMBOLS, {"radius": 1e-6}, symbols=SYMBOLS)
    for k, measured in enumerate(curve(forgets, "bits")):
        known = every if k == 0 else 0.0
        what = f"no memory: bits at distance {k}"
        found.append(Comparison(what=what, measured=measured, known=known, allowed=FULL if k == 0 else SIGMAS * EMPTY))
    first = curve(forgets, "first token")
    found += [
        Comparison(what="no memory: the first token when it is the last", measured=first[0], known=every, allowed=FULL),
        Comparison(what="no memory: the first token of all", measured=first[-1], known=0.0, allowed=SIGMAS * EMPTY),
    ]
    known, sd = _noisy_bits()
    noisy = _token_bits(cell, "cyclic", 1, 2, {}, symbols=2, noise=1.0, sequences=5 * SEQUENCES)
    allowed = SIGMAS * sd / noisy.facts["test"] ** 0.5 + 1 / noisy.facts["validation"]
    measured = noisy.values["token_bits"]
    found.append(Comparison(what="one of two symbols in noise: bits", measured=measured, known=known, allowed=allowed))
    return found + _orthogonal(cell)


def check_segments(cell: Cell) -> list[Comparison]:
    """Compare segments with one pass and a swapped state with its donor, and what a ring carries with what it holds."""
    found = []
    for layer, options in (("gru", {"hidden": 16}), ("deltanet", {}), ("attention", {"heads": 2})):
        given = asked(cell, "segments", layer, 24, SYMBOLS, options, symbols=SYMBOLS, sequences=SEQUENCES // 4)
        replicate = segments.measure(given)
        rounding = 64 * torch.finfo(torch.float32).eps
        for what in ("identity_error", "swap_error"):
            measured = replicate.values[what]
            found.append(Comparison(what=f"{layer}: {what}", measured=measured, known=0.0, allowed=rounding))
        exact = replicate.facts["identity error in float64"]
        found.append(Comparison(what=f"{layer}: identity_error in float64", measured=exact, known=0.0, allowed=1e-12))
    options = {"hidden": TURNS * SYMBOLS}
    given = asked(cell, "segments", "cyclic", 2 * TURNS, SYMBOLS, options, symbols=SYMBOLS, sequences=SEQUENCES)
    values = segments.measure(given).values
    held = TURNS * math.log2(SYMBOLS)
    return [
        *found,
        Comparison(what="delay line: bits carried", measured=values["token_bits"], known=held, allowed=TURNS * FULL),
        Comparison(what="delay line: most bits", measured=values["bound_bits"], known=held, allowed=1e-6),
        Comparison(what="delay line: bits after a swap", measured=values["swap_bits"], known=0.0, allowed=EMPTY),
    ]


CHECKS: Mapping[str, Check] = {"token-bits": check_token_bits, "segments": check_segments}


def _token_bits(
    cell: Cell, layer: str, length: int, width: int, options: Mapping[str, Option], **given: Option
) -> Replicate:
    conditions: dict[str, Option] = {"sequences": SEQUENCES, **given}
    return token_bits.measure(asked(cell, "token-bits", layer, length, width, options, **conditions))


def _noisy_bits() -> tuple[float, float]:
    """Return the bits that (1, 0) or (0, 1), each number in noise of their own variance 1/4, tell; and their scatter.

    The logarithm L of the odds of the right one is normal, of mean 4 and variance 8: derived, as the difference of the
    two numbers is normal, of mean 1 and variance 1/2. What is told is 1 - log2(1 + e^-L).
    """
    z = np.linspace(-12, 12, 4801)
    weight = np.exp(-(z**2) / 2) * (z[1] - z[0]) / math.sqrt(2 * math.pi)
    told = 1 - np.logaddexp(0, -(4 + math.sqrt(8) * z)) / math.log(2)
    mean = float(told @ weight)
    return mean, math.sqrt(float((told - mean) ** 2 @ weight))


def _orthogonal(cell: Cell) -> list[Comparison]:
    """Compare linear capacity with its closed form, and controls and bounds with what they must be."""
    units, tokens, noise = 16, 32, 0.01
    options = {"hidden": units}
    replicate = _token_bits(cell, "orthogonal", tokens, SYMBOLS, options, symbols=SYMBOLS, noise=noise)
    given = asked(cell, "token-bits", "orthogonal", tokens, SYMBOLS, options, symbols=SYMBOLS)
    known = _capacity_by_distance(given, units, tokens, noise)
    each = known / (SYMBOLS - 1)  # R^2 of one contrast
    train, test = int(replicate.facts["train"]), int(replicate.facts["test"])
    least = (SYMBOLS - 1) * expected_held_out(each, units, train).sum()
    sd = math.sqrt((SYMBOLS - 1) * float(np.square(held_out_sd(each, units, train, test)).sum()))
    values = replicate.values
    capacity, bits, most = (values[name] for name in ("linear_capacity", "token_bits", "bound_bits"))
    return [
        between("orthogonal: linear capacity", capacity, least, float(known.sum()), SIGMAS * sd),
        between("orthogonal: bits within the bound", bits, 0.0, most, SIGMAS * EMPTY * tokens),
        Comparison(what="shuffled labels", measured=values["shuffled_bits"], known=0.0, allowed=EMPTY),
        Comparison(what="last token", measured=values["leaked_bits"], known=0.0, allowed=EMPTY),
    ]


def _capacity_by_distance(cell: Cell, units: int, tokens: int, noise: float) -> Floats:
    """Return how much of a token's V - 1 contrasts linear readouts find at each distance, (T,).

    tr(S U' W'^k (P + s2 I)^-1 W^k U) with S = (I - 1/V)/V the covariance of a one-hot token, P = sum over k of
    W^k U S U' W'^k: derived, as theory.memory.linear_memory_curve for several inputs.
    """
    module = layer_of(dataclasses.replace(cell, dtype="float64")).module
    assert isinstance(module, LinearRecurrence)
    w, u = (matrix.detach().cpu().numpy() for matrix in (module.w, module.u))
    contrasts = (np.eye(SYMBOLS) - 1 / SYMBOLS) / math.sqrt(SYMBOLS)  # its square is S
    moved = [np.linalg.matrix_power(w, k) @ u[:, :SYMBOLS] @ contrasts for k in range(tokens)]
    spread = sum(m @ m.T for m in moved)
    read = spread + noise**2 * np.trace(spread) / units * np.eye(units)
    return np.array([np.trace(m.T @ np.linalg.solve(read, m)) for m in moved])
