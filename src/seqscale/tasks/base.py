"""What a task is: sequences to read, answers to give, and how well one can answer without reading."""

from __future__ import annotations

import abc
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Sequences:
    """n sequences of T tokens, each with A answers to be given.

    Attributes:
        inputs: (n, T, c), the features of every token.
        positions: (n, A), the token at which each answer is given; nothing after it may be looked at.
        answers: (n, A), the right ones: the numbers of classes (int64), or numbers (float32).
        distances: (n, A), tokens from what is asked for (the oldest, where it is several) to where it is asked.
    """

    inputs: Floats
    positions: Whole
    answers: Whole | Floats
    distances: Whole


class AbstractTask(abc.ABC):
    """Sequences drawn at random, with right answers."""

    @property
    @abc.abstractmethod
    def length(self) -> int:
        """T, tokens of a sequence."""

    @property
    @abc.abstractmethod
    def features(self) -> int:
        """c, features of a token."""

    @property
    @abc.abstractmethod
    def outputs(self) -> int:
        """How many classes an answer is one of; 1 where it is a number."""

    @property
    @abc.abstractmethod
    def demand_bits(self) -> float:
        """The bits about one sequence that right answers to all its questions demand; infinite for real numbers."""

    @property
    @abc.abstractmethod
    def chance(self) -> float:
        """The share of answers that the best guess without reading gets right; 0 for real numbers."""

    @property
    @abc.abstractmethod
    def blind_loss(self) -> float:
        """The least mean loss of an answer without reading: cross entropy [nat], for numbers the squared error."""

    @abc.abstractmethod
    def draw(self, sequences: int, rng: np.random.Generator) -> Sequences:
        """Return n sequences."""


def one_hot(classes: Whole, number: int) -> Floats:
    """Return classes (...) as features (..., number), 1 at the class and 0 elsewhere."""
    return np.eye(number, dtype=np.float32)[classes]


def distinct(sequences: int, picked: int, of: int, rng: np.random.Generator) -> Whole:
    """Return (n, picked) different numbers below `of` in each row, every ordered choice equally likely."""
    return rng.random((sequences, of)).argsort(axis=1)[:, :picked]


def mark(inputs: Floats, positions: Whole, features: Whole) -> None:
    """Set features (n, A) at positions (n, A), or (A,), of inputs (n, T, c) to 1."""
    inputs[np.arange(len(inputs))[:, None], positions, features] = 1.0
