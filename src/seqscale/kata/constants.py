"""Every constant of the teaching program and of the document around it; bad values cannot be built."""

from __future__ import annotations

import math
from dataclasses import dataclass

from seqscale.errors import UsageError

SIZE_LIMIT = 1024  # rank and spectral radius of W_h cost its size cubed: about a second here
SEED_LIMIT = 1_000_000  # beyond it, rounding inside the sine is no longer small beside W_h's singular values
SCALE_LIMIT = 1000.0
TOKEN_LIMIT = 10_000
LENGTH_LIMIT = 1_000_000  # steps that are really run
COUNT_LIMIT = 1_000_000_000  # numbers that are only multiplied
SEQUENCE_LIMIT = 20_000_000  # numbers in the longest input sequence: 0.5 GB in float64 while it is made
PICTURE_LIMIT = 16  # steps that fit on a line


@dataclass(frozen=True, slots=True, kw_only=True)
class KataConstants:
    """The constants of the replay; the defaults are the program's and the document's own.

    Attributes:
        input_size, hidden_size: numbers in a token, numbers in the state.
        seed_h, seed_x: seeds of the recurrent and of the input matrix (the "seed" shifts the argument of a sine).
        scale_h, scale_x: largest possible entry of these two matrices.
        lengths: tokens run through the network by the timing section.
        token_count: tokens that the information sections make (how many differ is counted, not assumed).
        encoded: how many of them the bottleneck section reads before it looks at the state.
        retrieval_length: tokens read by the retrieval section, which starts again at the first token when they run out.
        positions: the places in that sequence that it prints.
        parallel_lengths, cores: of the step-counting model.
        memory_lengths, memory_hidden: rows and columns of the memory table.
        layers, batch: what the memory table is multiplied by.
        example_length, example_hidden: the worked example of the document.
        dims, dims_lengths: the document's state size and the token counts that share it.
        picture_steps: positions in the picture of waiting.
    """

    input_size: int = 8
    hidden_size: int = 16
    seed_h: int = 1
    seed_x: int = 2
    scale_h: float = 0.2
    scale_x: float = 0.3
    lengths: tuple[int, ...] = (50, 100, 200, 500, 1000, 2000, 5000)
    token_count: int = 20
    encoded: tuple[int, ...] = (2, 5, 10, 15, 20)
    retrieval_length: int = 15
    positions: tuple[int, ...] = (0, 3, 7, 10, 14)
    parallel_lengths: tuple[int, ...] = (64, 256, 1024, 4096)
    cores: int = 1024
    memory_lengths: tuple[int, ...] = (128, 512, 2048, 8192)
    memory_hidden: tuple[int, ...] = (256, 512, 1024)
    layers: int = 24
    batch: int = 32
    example_length: int = 10_000
    example_hidden: int = 1024
    dims: int = 512
    dims_lengths: tuple[int, ...] = (10, 100, 1000)
    picture_steps: int = 8

    def __post_init__(self) -> None:
        _whole("--input-size", self.input_size, 1, SIZE_LIMIT)
        _whole("--hidden-size", self.hidden_size, 1, SIZE_LIMIT)
        _whole("--seed-h", self.seed_h, 0, SEED_LIMIT)
        _whole("--seed-x", self.seed_x, 0, SEED_LIMIT)
        _scale("--scale-h", self.scale_h)
        _scale("--scale-x", self.scale_x)
        _rising("--lengths", self.lengths, 1, LENGTH_LIMIT)
        _whole("--tokens", self.token_count, 1, TOKEN_LIMIT)
        _rising("--encoded", self.encoded, 1, TOKEN_LIMIT)
        _whole("--retrieval-length", self.retrieval_length, 1, LENGTH_LIMIT)
        _rising("--positions", self.positions, 0, LENGTH_LIMIT)
        _rising("--parallel-lengths", self.parallel_lengths, 1, COUNT_LIMIT)
        _whole("--cores", self.cores, 1, COUNT_LIMIT)
        _rising("--memory-lengths", self.memory_lengths, 1, COUNT_LIMIT)
        _rising("--memory-hidden", self.memory_hidden, 1, COUNT_LIMIT)
        _whole("--layers", self.layers, 1, COUNT_LIMIT)
        _whole("--batch", self.batch, 1, COUNT_LIMIT)
        _whole("--example-length", self.example_length, 1, COUNT_LIMIT)
        _whole("--example-hidden", self.example_hidden, 1, COUNT_LIMIT)
        _whole("--dims", self.dims, 1, COUNT_LIMIT)
        _rising("--dims-lengths", self.dims_lengths, 1, COUNT_LIMIT)
        _whole("--picture-steps", self.picture_steps, 1, PICTURE_LIMIT)
        self._check_together()

    def _check_together(self) -> None:
        """Refuse values that are fine alone and cannot be together."""
        if self.encoded[-1] > self.token_count:
            raise UsageError(
                f"--encoded {written(self.encoded)}: only {self.token_count} tokens are made (--tokens "
                f"{self.token_count}); give lengths up to {self.token_count}, or more --tokens."
            )
        if self.positions[-1] >= self.retrieval_length:
            raise UsageError(
                f"--positions {written(self.positions)}: the sequence ends at position {self.retrieval_length - 1} "
                f"(--retrieval-length {self.retrieval_length}); give positions up to there, or a longer sequence."
            )
        numbers = self.lengths[-1] * self.input_size
        if numbers > SEQUENCE_LIMIT:
            raise UsageError(
                f"--lengths {written(self.lengths)} with --input-size {self.input_size}: the longest sequence holds "
                f"{numbers:,} numbers, more than {SEQUENCE_LIMIT:,}; give shorter --lengths."
            )


def written(values: tuple[int, ...]) -> str:
    """Write a list as the command line takes it: `50,100,200`."""
    return ",".join(str(value) for value in values)


def _whole(option: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise UsageError(f"{option} {value}: give a whole number from {low:,} to {high:,}.")


def _scale(option: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{option} {value}: give a finite number, such as 0.2.")
    if abs(value) > SCALE_LIMIT:
        raise UsageError(f"{option} {value}: give a number from {-SCALE_LIMIT:g} to {SCALE_LIMIT:g}.")


def _rising(option: str, values: tuple[int, ...], low: int, high: int) -> None:
    if not values:
        raise UsageError(f"{option} is empty: give at least one whole number, such as {option} {low + 9}.")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise UsageError(
                f"{option} {written(values)}: {value} is not possible; give whole numbers from {low:,} to {high:,}."
            )
    if list(values) != sorted(set(values)):
        cure = written(tuple(sorted(set(values))))
        raise UsageError(f"{option} {written(values)}: each must be larger than the one before; give {option} {cure}.")
