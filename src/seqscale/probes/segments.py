"""A sequence cut in two, the state carried over (capacity.md E7): does anything cross but the state, and how much does?

    identity     two segments with carried state give what one pass gives, outputs and last state
    swap         segment 2 after the state of another sequence gives what that donor's own sequence would have given;
                 its last state tells nothing of the segment 1 that was swapped out
    saturation   bits about segment 1, of n tokens, that are found in the state that is carried over

Identity and swap are the largest difference over the largest element of what it must equal. Segment 1 has the first
half of the tokens, rounded down.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, final

import numpy.typing as npt
import torch
from torch import Tensor

from seqscale.errors import SeqscaleError
from seqscale.estimators.split import split_sequences
from seqscale.estimators.tokens import decode_tokens
from seqscale.probes.base import AbstractProbe, AbstractTrial, Tell, silent
from seqscale.probes.information import real, whole
from seqscale.probes.readout import States, read_out
from seqscale.probes.replicates import Curve, Replicate, ReplicatesTrial, as_features, data_of, require_finite
from seqscale.probes.state import Carrier, Embed, carrier_of
from seqscale.probes.token_bits import doublings
from seqscale.records import Cell

FEW = 64  # sequences that identity and the swapped outputs are looked at on: they are exact, and need no sample


@final
class SegmentsProbe(AbstractProbe):
    """Measures what crosses the border between two segments."""

    name: ClassVar[str] = "segments"
    repeats: ClassVar[bool] = False
    alone: ClassVar[bool] = False

    def preload(self) -> None:
        """Nothing beyond torch and numpy."""

    def prepare(self, cell: Cell, tell: Tell = silent) -> AbstractTrial:
        """Choose the cell; each replicate builds its layer."""
        facts = {
            "input": "tokens independent and uniform, token v is feature v",
            "segment 1": cell.length // 2,
            "segment 2": cell.length - cell.length // 2,
            "identity and swap": f"of {FEW} sequences at most, over the largest element",
            "device": cell.device,
        }
        return ReplicatesTrial(measure, cell, facts, tell)


def measure(cell: Cell) -> Replicate:
    """Read sequences in segments, and decode segment 1 out of the states."""
    given = dict(cell.conditions)
    symbols, sequences, noise = whole(given, "symbols"), whole(given, "sequences"), real(given, "noise")
    rng, carrier, cut = data_of(cell), carrier_of(cell), cell.length // 2
    tokens = rng.integers(symbols, size=(sequences, cell.length))
    embed = partial(as_features, carrier, symbols)
    exact = carrier_of(cell, "float64")
    few = tokens[:FEW]
    split, lengths = split_sequences(sequences, cell.seed), doublings(cut)
    states = carrier.read(tokens[:, :cut], embed, lengths)
    read = [read_out(part, noise, rng) for part in states]
    found = [
        decode_tokens(part.noisy, tokens[:, :t], symbols, split).variational.sum()
        for part, t in zip(read, lengths, strict=True)
    ]
    bounds = [part.bound(t, symbols, cell.dtype) for part, t in zip(read, lengths, strict=True)]
    after_swap = read_out(swapped_states(carrier, tokens, embed, cut), noise, rng)
    own = decode_tokens(after_swap.noisy, tokens[:, :cut], symbols, split)
    return Replicate(
        values={
            "identity_error": identity_error(carrier, embed(few), cut),
            "swap_error": swap_error(carrier, embed(few), cut),
            "swap_bits": float(own.variational.mean()),
            "token_bits": float(found[-1]),
            "bound_bits": bounds[-1],
            "state_numbers": read[-1].numbers,
        },
        curves={
            "found": Curve(quantity="token_bits", by="tokens", x=lengths, values=found),
            "bound": Curve(quantity="bound_bits", by="tokens", x=lengths, values=bounds, exact=True),
        },
        facts={
            "identity error in float64": identity_error(exact, partial(as_features, exact, symbols)(few), cut),
            "swap bits: standard error": float(own.by_sequence.mean(axis=1).std(ddof=1) / len(split.test) ** 0.5),
            "train": len(split.train), "validation": len(split.validation), "test": len(split.test),
        },
    )  # fmt: skip


def identity_error(carrier: Carrier, x: Tensor, cut: int) -> float:
    """Return how far two segments of x (b, t, d), cut after some tokens, are from one pass."""
    with torch.no_grad():
        whole_y, whole_state = carrier.outputs(x), carrier.advance(x, None)[1]
        first, carried = carrier.advance(x[:, :cut], None)
        second, last = carrier.advance(x[:, cut:], carried)
    return max(
        _off("output", torch.cat((first, second), dim=1), whole_y),
        _off("state", carrier.flat(last), carrier.flat(whole_state)),
    )


def swap_error(carrier: Carrier, x: Tensor, cut: int) -> float:
    """Return how far segment 2 after another sequence's state is from one pass over the donor's segment 1 and it."""
    with torch.no_grad():
        y, state = swapped(carrier, x, cut)
        as_donor = torch.cat((x[donors(x), :cut], x[:, cut:]), dim=1)
        wanted_y, wanted_state = carrier.outputs(as_donor)[:, cut:], carrier.advance(as_donor, None)[1]
    return max(_off("output", y, wanted_y), _off("state", carrier.flat(state), carrier.flat(wanted_state)))


def swapped(carrier: Carrier, x: Tensor, cut: int) -> tuple[Tensor, Any]:
    """Return outputs and last state of segment 2, each sequence's own, read from its donor's state."""
    _, carried = carrier.advance(x[:, :cut], None)
    return carrier.advance(x[:, cut:], carrier.of_others(carried, donors(x)))


def swapped_states(carrier: Carrier, tokens: npt.NDArray[Any], embed: Embed, cut: int) -> States:
    """Return the last states after a swap, (n, numbers)."""
    with torch.no_grad():
        parts = [swapped(carrier, embed(tokens[rows]), cut)[1] for rows in carrier.batches(*tokens.shape)]
        flat = torch.cat([carrier.flat(part) for part in parts])
    require_finite(f"the state after {tokens.shape[1]} tokens", flat)
    return carrier.array(flat)


def donors(x: Tensor) -> Tensor:
    """Return for each sequence the one before it, as an index (b,)."""
    return torch.arange(len(x), device=x.device).roll(1)


def _off(name: str, value: Tensor, wanted: Tensor) -> float:
    """Return the largest difference over the largest element wanted; SeqscaleError where their shapes differ."""
    if value.shape != wanted.shape:
        raise SeqscaleError(f"the {name} after a cut is {tuple(value.shape)}, without one {tuple(wanted.shape)}.")
    require_finite(f"the {name}", wanted)
    require_finite(f"the {name} after a cut", value)
    return float((value - wanted).abs().max() / wanted.abs().max().clamp_min(torch.finfo(wanted.dtype).tiny))
