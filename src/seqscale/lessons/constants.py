"""Every constant of the lessons: the kata's own where it has one, the instruments' beside; bad values cannot be built.

Imports neither numpy nor torch, so that the command line can read it at once.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seqscale.errors import UsageError
from seqscale.kata.constants import KataConstants, written

NETWORK = ("input_size", "hidden_size", "seed_h", "seed_x", "scale_h", "scale_x")
TRAINING = ("keys", "pairs", "recalled", "steps", "rates", "models")
DECODER = ("layer", "seed", "sequences", "replicates", "noise")

# lesson -> the constants that it reads; every other is refused
USES: Mapping[int, tuple[str, ...]] = {
    1: (*NETWORK, "lengths", "layer", "seed", "rounds"),
    2: (*NETWORK, "token_count", "encoded", *DECODER),
    3: (*NETWORK, "token_count", "retrieval_length", "positions", *DECODER, *TRAINING),
    4: ("input_size", "hidden_size", "parallel_lengths", "cores", "layer"),
}
MOST_ROUNDS = 1000
MOST_KEYS = 64
MOST_RECALLED = 1024  # tokens
MOST_SEED = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonConstants:
    """The constants of the lessons; the defaults are the kata's own, and sizes that fit a minute on two cores.

    Attributes:
        kata: the teaching program's.
        layer: what the instruments look at; empty: the lesson's own choice.
        seed: of weights and data, the first of all replicates.
        rounds: how often each time is taken, at least.
        sequences: random sequences that the decoder reads for each draw of weights.
        replicates: draws of weights and data that an interval comes from.
        noise: noise added to the state before it is read, over the state's own spread.
        keys: kinds of keys, and of values, that networks are trained to recall.
        pairs: how many of them a sequence begins with.
        recalled: tokens of these sequences: pairs, blanks, then every key once more.
        steps, rates, models: training steps, learning rates tried (the best one counts), networks for each of them.
    """

    kata: KataConstants = field(default_factory=KataConstants)
    layer: tuple[str, ...] = ()
    seed: int = 0
    rounds: int = 9
    sequences: int = 4000
    replicates: int = 5
    noise: float = 0.01
    keys: int = 4
    pairs: int = 2
    recalled: tuple[int, ...] = (4, 16)
    steps: int = 400
    rates: tuple[float, ...] = (0.01, 0.03)
    models: int = 3

    def __post_init__(self) -> None:
        kata = self.kata
        if kata.hidden_size < kata.input_size:
            raise UsageError(
                f"--hidden-size {kata.hidden_size}: give a whole number from {kata.input_size} (--input-size), as the "
                f"layers' output is the first {kata.input_size} numbers of the state."
            )
        _whole("--seed", self.seed, 0, MOST_SEED)
        _whole("--rounds", self.rounds, 2, MOST_ROUNDS)
        _whole("--sequences", self.sequences, 100, 1_000_000)
        _whole("--replicates", self.replicates, 2, 100)
        _whole("--steps", self.steps, 1, 1_000_000)
        _whole("--models", self.models, 2, 100)
        if not (math.isfinite(self.noise) and 0 <= self.noise <= 10):
            raise UsageError(f"--noise {self.noise}: give a number from 0 to 10.")
        for rate in self.rates:
            if not 1e-7 <= rate <= 10:
                raise UsageError(f"--rates {rate}: give numbers from 1e-07 to 10.")
        if list(self.rates) != sorted(set(self.rates)) or not self.rates:
            raise UsageError(f"--rates {','.join(f'{rate:g}' for rate in self.rates)}: give rising numbers.")
        _whole("--keys", self.keys, 2, MOST_KEYS)
        _whole("--pairs", self.pairs, 1, self.keys)  # no key comes twice
        for length in self.recalled:
            _whole("--recalled", length, 2 * self.pairs, MOST_RECALLED)
        if len(self.recalled) < 2 or list(self.recalled) != sorted(set(self.recalled)):
            raise UsageError(
                f"--recalled {written(self.recalled)}: give at least two lengths, rising, such as --recalled 4,16."
            )

    @classmethod
    def of(cls, lesson: int, given: Mapping[str, Any]) -> LessonConstants:
        """Return the constants with those that were given; UsageError for one that the lesson does not read."""
        for name in given:
            if name not in USES[lesson]:
                others = " and ".join(str(number) for number, names in USES.items() if name in names)
                raise UsageError(f"{option_of(name)} is not read by lesson {lesson}: it belongs to lesson {others}.")
        kata = {name: value for name, value in given.items() if name in _KATA}
        own = {name: value for name, value in given.items() if name not in _KATA}
        return cls(kata=KataConstants(**_fitting(kata)), **own)

    def value(self, name: str) -> Any:
        """Return a constant by its name in USES, JSON-ready."""
        value = getattr(self.kata if name in _KATA else self, name)
        return list(value) if isinstance(value, tuple) else value


_KATA = {f.name for f in dataclasses.fields(KataConstants)}


def option_of(name: str) -> str:
    """Return the option that sets a constant."""
    return "--tokens" if name == "token_count" else f"--{name.replace('_', '-')}"


def _fitting(given: dict[str, Any]) -> dict[str, Any]:
    """Let lists that the person did not name follow a shorter sequence; a number that cannot be is refused later."""
    own = KataConstants()
    length, tokens = given.get("retrieval_length"), given.get("token_count")
    if isinstance(length, int) and length >= 1:
        given = {"positions": tuple(p for p in own.positions if p < length)} | given
    if isinstance(tokens, int) and tokens >= 1:
        given = {"encoded": tuple(n for n in own.encoded if n <= tokens) or (tokens,)} | given
    return given


def _whole(option: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise UsageError(f"{option} {value}: give a whole number from {low:,} to {high:,}.")
