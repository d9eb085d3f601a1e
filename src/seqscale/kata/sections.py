"""The sections of the program and of its document, one pure function each: constants in, frozen rows out.

Only `forward` reads a clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from seqscale.kata import fused
from seqscale.kata.constants import KataConstants
from seqscale.kata.network import Array, Network, cosine, initial_state, rnn_step, tokens, wave

FLOAT32_BYTES = 4
WARM_UP = 64  # tokens read before any clock starts: the first product of a process starts threads


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardRow:
    """One pass over `length` tokens: seconds on the clock, and the last state.

    `fused_seconds` is the same pass by one compiled kernel, None where there is none.
    """

    length: int
    seconds: float
    fused_seconds: float | None
    final_hidden: tuple[float, ...]

    @property
    def seconds_per_step(self) -> float:
        """Seconds divided by tokens."""
        return self.seconds / self.length

    @property
    def fused_seconds_per_step(self) -> float | None:
        """Seconds of the kernel divided by tokens."""
        return None if self.fused_seconds is None else self.fused_seconds / self.length


@dataclass(frozen=True, slots=True, kw_only=True)
class BottleneckRow:
    """The state after `encoded` tokens, compared with these tokens.

    `most_similar` is the lowest index among equals. `last_rank` is the place of the newest token's similarity among
    the `distinct` different tokens read so far (1: none is more similar).
    """

    encoded: int
    first_similarity: float
    most_similar: int
    best_similarity: float
    last_rank: int
    distinct: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalRow:
    """Similarity of the final state to the token at `position`, `distance` steps before the end."""

    position: int
    distance: int
    similarity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelRow:
    """The program's step counts for `length` tokens: one a token, against length^2 // cores + 1."""

    length: int
    rnn_steps: int
    attention_steps: int
    busy_cores: float

    @property
    def factor(self) -> float:
        """Recurrent steps over attention steps: below 1, attention takes longer."""
        return self.rnn_steps / self.attention_steps


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRow:
    """Bytes of one kept float32 state a token: one layer and sequence, and the whole model and batch."""

    length: int
    hidden: int
    layer_bytes: int
    model_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DimsRow:
    """The document's quotient: numbers in the state over tokens that share it."""

    tokens: int
    dims_per_token: float


def forward(constants: KataConstants, network: Network) -> tuple[ForwardRow, ...]:
    """Time one pass at each length, once, as the program does; some steps are run first so that no import is timed."""
    few = wave(WARM_UP, constants.input_size)
    _read(network, list(few))
    compiled = fused.available()
    if compiled:
        fused.read(network, few)
    rows = []
    for length in constants.lengths:
        inputs = wave(length, constants.input_size)
        seconds, h = _timed(partial(_read, network, list(inputs)))
        fused_seconds = _timed(partial(fused.read, network, inputs))[0] if compiled else None
        hidden = tuple(h.tolist())
        rows.append(ForwardRow(length=length, seconds=seconds, fused_seconds=fused_seconds, final_hidden=hidden))
    return tuple(rows)


def _timed(call: Callable[[], Array]) -> tuple[float, Array]:
    start = time.perf_counter()
    found = call()
    return time.perf_counter() - start, found


def bottleneck(constants: KataConstants, network: Network) -> tuple[BottleneckRow, ...]:
    """Read growing prefixes of the tokens and compare the state with every token read."""
    vectors = list(tokens(constants.token_count, constants.input_size))
    rows = []
    for encoded in constants.encoded:
        prefix = vectors[:encoded]
        h = _read(network, prefix)
        similarities = [cosine(h, token) for token in prefix]
        best = similarities.index(max(similarities))
        different = {tuple(token): value for token, value in zip(prefix, similarities, strict=True)}
        rows.append(
            BottleneckRow(
                encoded=encoded,
                first_similarity=similarities[0],
                most_similar=best,
                best_similarity=similarities[best],
                last_rank=1 + sum(value > similarities[-1] for value in different.values()),
                distinct=len(different),
            )
        )
    return tuple(rows)


def retrieval(constants: KataConstants, network: Network) -> tuple[RetrievalRow, ...]:
    """Compare the state after the last token with the token at every position (the program prints some of them)."""
    vectors = list(tokens(constants.token_count, constants.input_size))
    length = constants.retrieval_length
    h = _read(network, [vectors[t % len(vectors)] for t in range(length)])
    similarities = [cosine(h, token) for token in vectors]
    return tuple(
        RetrievalRow(position=t, distance=length - 1 - t, similarity=similarities[t % len(vectors)])
        for t in range(length)
    )


def parallel(constants: KataConstants) -> tuple[ParallelRow, ...]:
    """Count steps as the program's model does; nothing is run. `busy_cores` is the mean over attention's steps."""
    rows = []
    for length in constants.parallel_lengths:
        steps = length * length // constants.cores + 1
        rows.append(
            ParallelRow(length=length, rnn_steps=length, attention_steps=steps, busy_cores=length * length / steps)
        )
    return tuple(rows)


def memory(constants: KataConstants) -> tuple[MemoryRow, ...]:
    """Multiply out tokens x hidden x 4 B for the table, row by row."""
    return tuple(
        _memory_row(constants, length, hidden)
        for length in constants.memory_lengths
        for hidden in constants.memory_hidden
    )


def memory_example(constants: KataConstants) -> MemoryRow:
    """Multiply out the document's example."""
    return _memory_row(constants, constants.example_length, constants.example_hidden)


def dims_per_token(constants: KataConstants) -> tuple[DimsRow, ...]:
    """Divide the state's numbers by the tokens that share it."""
    return tuple(DimsRow(tokens=n, dims_per_token=constants.dims / n) for n in constants.dims_lengths)


def step_products(hidden: int, input_size: int) -> int:
    """Return the multiplications of one recurrent step: hidden^2 + hidden * input."""
    return hidden * hidden + hidden * input_size


def distinct_tokens(constants: KataConstants) -> int:
    """Count the different vectors among the tokens."""
    return len(np.unique(tokens(constants.token_count, constants.input_size), axis=0))


def _read(network: Network, inputs: list[Array]) -> Array:
    h = initial_state(network)
    for x in inputs:
        h = rnn_step(network, h, x)
    return h


def _memory_row(constants: KataConstants, length: int, hidden: int) -> MemoryRow:
    layer_bytes = length * hidden * FLOAT32_BYTES
    return MemoryRow(
        length=length,
        hidden=hidden,
        layer_bytes=layer_bytes,
        model_bytes=layer_bytes * constants.layers * constants.batch,
    )
