"""What a state tells about each token of its past, in bits, by linear discriminants.

    scores of symbol v     mu_v' W^-1 x - mu_v' W^-1 mu_v / 2         Fisher 1936; W the covariance within symbols
    variational bits       log2 V - cross-entropy of softmax(beta * scores)   Barber and Agakov 2003
    Fano bits              theory.bounds.fano_bits of the error of the largest score
    linear capacity        (V - 1) * held-out R^2 of the V indicators         Dambre et al. 2012

Tokens are uniform over V symbols and independent, so bits at different distances add up to a lower bound on all that
the state tells.

For every distance W = S - U U' with the same S, the covariance of all states, and U of rank V - 1, the means of the
symbols. So one factorisation of S serves all distances and penalties: with C = U' (S + a I)^-1 U,
(W + a I)^-1 U = (S + a I)^-1 U (I - C)^-1 (Woodbury).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

from seqscale.estimators.split import Split
from seqscale.theory.bounds import fano_bits
from seqscale.theory.checks import above, within

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

PENALTIES = (1e-9, 1e-5, 1e-3, 1e-1, 10.0)
"""Multiples of the states' mean variance that are added to the covariance; each distance has its own."""

_LEAST = 1e-10  # of 1 - eigenvalue of C: rounding where a state tells a symbol without doubt
_NEWTON, _WORTH = 12, 1e-6  # steps for ln beta at most, and what the next one must gain in all [nats]
_TINY = float(np.finfo(np.float64).tiny)
_CHUNK = 2**24  # numbers of an indicator matrix at once


@dataclass(frozen=True, slots=True, eq=False)
class TokenBits:
    """What was found about the token at each of K distances, on test sequences.

    Attributes:
        variational: bits, a lower bound in the mean; slightly below 0 where nothing is found, (K,).
        fano: bits; 1/(2 n ln 2) too many on average where nothing is found in n sequences, (K,).
        accuracy: share of tokens named rightly; 1/V by chance, (K,).
        capacity: linear capacity, of at most V - 1 for a token and N in all; below 0 where nothing is found, (K,).
        by_sequence: variational bits of each test sequence, whose scatter gives standard errors, (n_test, K).
    """

    variational: Floats
    fano: Floats
    accuracy: Floats
    capacity: Floats
    by_sequence: Floats


def decode_tokens(
    states: Floats, tokens: Integers, symbols: int, split: Split, penalties: Sequence[float] = PENALTIES
) -> TokenBits:
    """Return the bits about each token that linear discriminants find in the states.

    The penalty of each distance is chosen by R^2 on the validation sequences, its temperature by cross-entropy there.

    Args:
        states: read with noise, (n, N), one sequence a row.
        tokens: 0..V-1, (n, K), a column for each distance.
        symbols: V.
        split: which sequences are fitted to, chosen by and scored.
        penalties: multiples of the states' mean variance that are tried, all positive.

    Raises:
        ValueError: fewer than 2 symbols, rows that do not match, a token outside 0..V-1, no penalty or one that is not
            positive, states that do not vary, or a symbol that the training sequences lack at some distance.
    """
    within("symbols", symbols, 2)
    if len(states) != len(tokens) or not len(penalties):
        raise ValueError(f"states {states.shape}, tokens {tokens.shape}: rows must match, with a penalty to try")
    within("tokens", tokens, 0, symbols - 1)
    above("penalties", penalties, 0)
    fitted = _Fitted(states[split.train], tokens[split.train], symbols)
    validation, test = (fitted.rotated(states[part]) for part in (split.validation, split.test))
    truth, tried = tokens[split.validation].T, np.asarray(penalties)
    unexplained = [_unexplained(fitted.regressions(validation, np.full(len(truth), p)), truth) for p in tried]
    chosen = tried[np.argmin(unexplained, axis=0)]
    beta = _temperature(fitted.discriminants(validation, chosen), truth)

    truth = tokens[split.test].T
    scores = fitted.discriminants(test, chosen)
    right = scores.argmax(axis=1) == truth
    bits = np.log2(symbols) + _log_chance(scores, truth, beta) / np.log(2)
    return TokenBits(
        variational=bits.mean(axis=1),
        fano=fano_bits(1 - right.mean(axis=1), symbols),
        accuracy=right.mean(axis=1),
        capacity=(symbols - 1) * (1 - _unexplained(fitted.regressions(test, chosen), truth)),
        by_sequence=bits.T,
    )


def shuffled_bits(
    states: Floats, tokens: Integers, symbols: int, split: Split, rng: np.random.Generator
) -> tuple[float, float]:
    """Return the variational bits of all distances together, and their standard error, if tokens come from elsewhere.

    The control: each sequence is given the tokens of another one, so that 0 bits are to be found, or slightly less;
    both are exactly 0 where no temperature seems worth having.

    Raises:
        ValueError: as `decode_tokens`.
    """
    found = decode_tokens(states, tokens[rng.permutation(len(tokens))], symbols, split)
    total = found.by_sequence.sum(axis=1)
    return float(total.mean()), float(total.std(ddof=1) / np.sqrt(len(total)))


@final
class _Fitted:
    """Training states in the eigenbasis of their covariance S, and the symbols' means at each distance."""

    def __init__(self, states: Floats, tokens: Integers, symbols: int) -> None:
        states = np.asarray(states, dtype=np.float64)
        self._mean = states.mean(axis=0)
        centred = states - self._mean
        values, self._vectors = np.linalg.eigh(centred.T @ centred / len(states))
        self._values = np.maximum(values, 0)
        above("states: mean variance", self._values.mean(), 0)
        sums, counts = _sums(centred, tokens, symbols)
        if not counts.all():
            k, v = np.argwhere(counts == 0)[0]
            raise ValueError(
                f"tokens: the training sequences must show symbol {v} at distance {k}; give more sequences"
            )
        share = (counts / len(states)).astype(np.float64)
        self._root = np.sqrt(share)  # (K, V)
        between = sums / (len(states) * self._root[:, :, None])  # U', (K, V, N)
        self._between = between.reshape(-1, states.shape[1]) @ self._vectors

    def rotated(self, states: Floats) -> Floats:
        """Return states in the eigenbasis, (N, n)."""
        rotated: Floats = self._vectors.T @ (states - self._mean).T
        return rotated

    def regressions(self, rotated: Floats, penalties: Floats) -> Floats:
        """Return what ridge regression says of each symbol's indicator, (K, V, n).

        Args:
            rotated: (N, n).
            penalties: one for each distance, (K,).
        """
        projected, _ = self._projected(rotated, penalties)
        return self._root[:, :, None] * (projected + self._root[:, :, None])

    def discriminants(self, rotated: Floats, penalties: Floats) -> Floats:
        """Return the scores of each symbol, (K, V, n); arguments as `regressions`."""
        projected, overlap = self._projected(rotated, penalties)
        c, basis = np.linalg.eigh(overlap)
        inverse = (basis / np.maximum(1 - c, _LEAST)[:, None, :]) @ basis.swapaxes(1, 2)  # (I - C)^-1
        own = np.einsum("kvw,kwv->kv", inverse, overlap) / self._root**2  # mu_v' (W + a I)^-1 mu_v
        scores: Floats = (inverse / self._root[:, :, None]) @ projected - own[:, :, None] / 2
        return scores

    def _projected(self, rotated: Floats, penalties: Floats) -> tuple[Floats, Floats]:
        """Return U' (S + a I)^-1 x, (K, V, n), and C, (K, V, V)."""
        distances, symbols = self._root.shape
        added = np.repeat(penalties * self._values.mean(), symbols)
        solved = self._between / (self._values + added[:, None])
        overlap = solved.reshape(distances, symbols, -1) @ self._between.reshape(distances, symbols, -1).swapaxes(1, 2)
        return (solved @ rotated).reshape(distances, symbols, -1), overlap


def _sums(states: Floats, tokens: Integers, symbols: int) -> tuple[Floats, Integers]:
    """Return the sum of the states (n, N) of each symbol at each distance, (K, V, N), and their number, (K, V)."""
    n, distances = tokens.shape
    several = max(1, _CHUNK // (n * symbols))
    sums, counts = [], []
    for start in range(0, distances, several):
        part = tokens[:, start : start + several, None]
        shown = np.zeros((*part.shape[:2], symbols))
        np.put_along_axis(shown, part, 1.0, axis=2)
        sums.append((shown.reshape(n, -1).T @ states).reshape(shown.shape[1], symbols, -1))
        counts.append(shown.sum(axis=0))
    return np.concatenate(sums), np.concatenate(counts)


def _at(scores: Floats, truth: Integers) -> Floats:
    """Return the score of the right symbol, (K, n)."""
    return np.take_along_axis(scores, truth[:, None, :], axis=1)[:, 0]


def _unexplained(guesses: Floats, truth: Integers) -> Floats:
    """Return residual over total sum of squares of the symbols' indicators, (K,): the same for any V - 1 contrasts."""
    symbols, n = guesses.shape[1:]
    residual = np.square(guesses).sum(axis=(1, 2)) - 2 * _at(guesses, truth).sum(axis=1) + n
    share: Floats = residual / (n * (1 - 1 / symbols))
    return share


def _log_chance(scores: Floats, truth: Integers, beta: Floats) -> Floats:
    """Return ln of the probability that softmax(beta * scores) gives the right symbol, (K, n)."""
    scaled = beta[:, None, None] * scores
    top = scaled.max(axis=1)
    chance: Floats = _at(scaled, truth) - top - np.log(np.exp(scaled - top[:, None]).sum(axis=1))
    return chance


def _temperature(scores: Floats, truth: Integers) -> Floats:
    """Return the beta at each distance, (K,): of Firth's penalised likelihood, or 1 or 0 where that is no better.

    The cross-entropy of n tokens is convex in beta; where it rises from 0 on, 0 is best. Where no token is mistaken it
    falls for ever, and one that is mistaken later would cost hundreds of bits. So ln(I)/2 is taken from it, I the
    Fisher information about beta, which is gone by then (Firth 1993; Heinze and Schemper 2002). Newton steps in ln
    beta, none longer than 1, go down from beta = 1, which is right of normal states, and stays where what they find
    explains the tokens less. A gain over beta = 0 that one parameter may owe to chance (ln(n)/2 nats in all, Schwarz
    1978) is none: chance temperatures of many distances would add up to bits below 0.
    """
    ahead = scores - _at(scores, truth)[:, None]  # of the right symbol
    falls = ahead.mean(axis=(1, 2)) < 0
    ahead, beta = ahead[falls], np.ones(np.count_nonzero(falls))
    for _ in range(_NEWTON):
        scaled = beta[:, None, None] * ahead
        chance = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        chance /= chance.sum(axis=1, keepdims=True)
        mean = np.einsum("kvn,kvn->kn", chance, ahead)
        off = ahead - mean[:, None]
        weighted = chance * off
        information = np.einsum("kvn,kvn->k", weighted, off)
        skew = np.einsum("kvn,kvn,kvn->k", weighted, off, off)  # d I / d beta
        slope = mean.sum(axis=1) - skew / (2 * information + _TINY)
        step = -slope / (beta * information + np.abs(slope) + _TINY)
        worth = np.abs(slope * step) * beta > _WORTH
        beta *= np.exp(step * worth)
        if not worth.any():
            break
    tried = np.zeros((3, len(scores)))  # nothing, the model as it is, and fitted
    tried[1:, falls] = np.stack((np.ones_like(beta), beta))
    symbols, n = scores.shape[1:]
    gain = n * np.log(symbols) + np.stack([_log_chance(scores, truth, b).sum(axis=1) for b in tried])
    gain[1:] -= np.log(n) / 2
    best: Floats = np.take_along_axis(tried, gain.argmax(axis=0)[None], axis=0)[0]
    return best
