"""Bits about each token that can be found in the last state, by distance (capacity.md E3).

Tokens are independent and uniform over V symbols, so that bits of different tokens add up; token v is feature v. The
state is read with noise, without which any number holds any number of bits. What is found is a lower bound on what is
there; `bound_bits` is an upper bound: the least of the source, the state's numbers at their precision, and what a
state of its covariance lets through the noise. Two controls must find nothing: labels of other sequences, and the last
token alone, which is independent of all earlier ones.
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt

from seqscale.estimators.split import Split, split_sequences
from seqscale.estimators.tokens import decode_tokens, shuffled_bits
from seqscale.probes.base import AbstractProbe, AbstractTrial, Tell, silent
from seqscale.probes.information import real, whole
from seqscale.probes.readout import read_out
from seqscale.probes.replicates import Curve, Replicate, ReplicatesTrial, as_features, data_of
from seqscale.probes.state import carrier_of
from seqscale.records import Cell
from seqscale.theory.bounds import source_bits

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

CONTROLS = 8  # distances at most that the controls look at, evenly spread: each costs as much as a distance measured


@final
class TokenBitsProbe(AbstractProbe):
    """Measures bits by distance at the cell's length, and bits of the first and of all tokens at shorter ones."""

    name: ClassVar[str] = "token-bits"
    repeats: ClassVar[bool] = False
    alone: ClassVar[bool] = False

    def preload(self) -> None:
        """Nothing beyond torch and numpy."""

    def prepare(self, cell: Cell, tell: Tell = silent) -> AbstractTrial:
        """Choose the cell; each replicate builds its layer."""
        facts = {
            "input": "tokens independent and uniform, token v is feature v",
            "decoder": "linear discriminants",
            "recent_share": "of bits clipped at 0, in the newest quarter of the tokens",
            "device": cell.device,
        }
        return ReplicatesTrial(measure, cell, facts, tell)


def measure(cell: Cell) -> Replicate:
    """Read sequences, and decode the tokens out of their states."""
    given = dict(cell.conditions)
    symbols, sequences = whole(given, "symbols"), whole(given, "sequences")
    rng, carrier, length = data_of(cell), carrier_of(cell), cell.length
    tokens = rng.integers(symbols, size=(sequences, length))
    split = split_sequences(sequences, cell.seed)
    lengths = doublings(length)
    states = carrier.read(tokens, partial(as_features, carrier, symbols), lengths)
    read = [read_out(part, real(given, "noise"), rng) for part in states]
    found = [
        decode_tokens(part.noisy, tokens[:, :t][:, ::-1], symbols, split) for part, t in zip(read, lengths, strict=True)
    ]
    bounds = [part.bound(t, symbols, cell.dtype) for part, t in zip(read, lengths, strict=True)]
    last, by_distance = found[-1], np.arange(length)
    shown = by_distance[:: -(-length // CONTROLS)]
    shuffled, _ = shuffled_bits(read[-1].noisy, tokens[:, ::-1][:, shown], symbols, split, rng)
    values = {
        "token_bits": float(last.variational.sum()),
        "fano_bits": float(last.fano.sum()),
        "first_token_bits": float(last.variational[-1]),
        "linear_capacity": float(last.capacity.sum()),
        "source_bits": float(source_bits(length, symbols)),
        "bound_bits": bounds[-1],
        "shuffled_bits": shuffled / len(shown),
        "state_numbers": read[-1].numbers,
    }
    if length > 1:
        values["leaked_bits"] = leak(tokens, symbols, split, shown[shown > 0])
    recent = recent_share(last.variational)
    if recent is not None:
        values["recent_share"] = recent
    return Replicate(
        values=values,
        curves={
            "bits": Curve(quantity="token_bits", by="distance", x=by_distance, values=last.variational),
            "fano": Curve(quantity="fano_bits", by="distance", x=by_distance, values=last.fano),
            "accuracy": Curve(quantity="accuracy", by="distance", x=by_distance, values=last.accuracy),
            "first token": Curve(
                quantity="first_token_bits", by="tokens", x=lengths, values=[f.variational[-1] for f in found]
            ),
            "found": Curve(quantity="token_bits", by="tokens", x=lengths, values=[f.variational.sum() for f in found]),
            "bound": Curve(quantity="bound_bits", by="tokens", x=lengths, values=bounds, exact=True),
        },
        facts={"train": len(split.train), "validation": len(split.validation), "test": len(split.test)},
        missing=() if recent is not None else ("no recent_share, as no bits are found",),
    )


def doublings(most: int) -> tuple[int, ...]:
    """Return 1, 2, 4 ... and the most."""
    return (*(2**i for i in range((most - 1).bit_length())), most)


def leak(tokens: Integers, symbols: int, split: Split, distances: Integers) -> float:
    """Return the bits per token that the last token tells of those at some distances before it."""
    alone = np.eye(symbols)[tokens[:, -1]]
    return float(decode_tokens(alone, tokens[:, ::-1][:, distances], symbols, split).variational.mean())


def recent_share(bits: Floats) -> float | None:
    """Return the share of the newest quarter in bits by distance, each clipped at 0; None where none are found."""
    found = np.maximum(bits, 0)
    return float(found[: max(1, round(len(bits) / 4))].sum() / found.sum()) if found.any() else None
