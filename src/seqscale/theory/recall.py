"""How often a fixed state of outer products answers a query, and how many bits the question demands."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from seqscale.theory.checks import above, within

Floats = npt.NDArray[np.float64]

_NODES = 16  # of Gauss and Legendre, in each panel as wide as the narrowest spread
_REACH = 9.0  # standard deviations that are integrated over


def additive_recall_accuracy(pairs: int, dimension: int, values: int) -> float:
    """Return how often the largest of S k is the value stored with key k, S = sum of value x key over all pairs.

    Derived, for random unit keys in d dimensions and values drawn from V: each of the m ~ Bin(K - 1, 1/V) further keys
    stored under a value adds noise of variance 1/d to its score, taken as normal; so the right value scores y ~ N(1,
    m/d), another N(0, n/d), and

        p = E_y [ G(y)^(V-1) ],  G(y) = sum over n of P(n) Phi(y / sqrt(n/d)),  Phi(y/0) = 1 if y > 0 else 0.

    Within 0.01 of real keys for d >= 16 and V <= d; at d = 4 overlaps are far from normal and it is up to 0.05 off.

    Args:
        pairs: K, distinct keys stored.
        dimension: d, of the keys.
        values: V, of which each key has one at random.

    Raises:
        ValueError: fewer than 1 pair, 1 dimension or 2 values.
    """
    from scipy import special  # here, since importing it costs more than all other theory

    others = int(within("pairs", pairs, 1)) - 1
    within("dimension", dimension, 1)
    within("values", values, 2)
    middle, spread = others / values, math.sqrt(others / values)
    few, many = max(0, int(middle - _REACH * spread)), min(others, int(middle + _REACH * spread) + 20)
    counts = np.arange(few, many + 1)
    log_chance = special.gammaln(others + 1) - special.gammaln(counts + 1) - special.gammaln(others - counts + 1)
    chance = np.exp(log_chance - counts * math.log(values) + (others - counts) * math.log1p(-1 / values))
    widths = np.sqrt(counts / dimension)

    def beats_the_rest(score: Floats) -> Floats:
        with np.errstate(divide="ignore"):  # no further key, no noise: score/0 is +-inf; no node lies at 0
            one: Floats = special.ndtr(score[:, None] / widths) @ chance
        return one ** (values - 1)

    alone = float(chance[0] * beats_the_rest(np.ones(1))[0]) if few == 0 else 0.0
    noisy = counts > 0
    if not noisy.any():
        return alone
    panel = float(widths[noisy][0])
    edges = panel * np.arange(
        math.floor((1 - _REACH * widths[-1]) / panel), math.ceil((1 + _REACH * widths[-1]) / panel)
    )
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    scores = (edges[:, None] + panel * (nodes + 1) / 2).ravel()
    density = np.exp(-(((scores[:, None] - 1) / widths[noisy]) ** 2) / 2) @ (chance[noisy] / widths[noisy])
    integrand = (beats_the_rest(scores) * density).reshape(-1, _NODES) @ weights
    return alone + float(integrand.sum()) * panel / 2 / math.sqrt(2 * math.pi)


def delta_forgetting(distance: npt.ArrayLike, dimension: int) -> Floats:
    """Return (1 - 1/d)^j: what is left of a value, on average, after j further writes of the delta rule at rate 1.

    Derived: a write under a random unit key k multiplies the state by I - k k', and E[k k'] = I/d.

    Args:
        distance: j, writes since, of any shape.
        dimension: d, of the keys.

    Raises:
        ValueError: a negative distance, a dimension below 1.
    """
    return (1 - 1 / within("dimension", dimension, 1)) ** within("distance", distance, 0)


def softmax_target_weight(pairs: npt.ArrayLike, logit: npt.ArrayLike) -> Floats:
    """Return e^b / (e^b + K - 1): the weight of the right one of K orthonormal keys, its logit b, all others' 0.

    Derived from the definition of softmax.

    Raises:
        ValueError: fewer than 1 pair.
    """
    with np.errstate(divide="ignore"):  # one pair has the whole weight
        odds_against = np.log(within("pairs", pairs, 1) - 1) - np.asarray(logit, dtype=np.float64)
    weight: Floats = np.exp(-np.logaddexp(0, odds_against))  # so that no exponential overflows
    return weight


def logit_needed(pairs: npt.ArrayLike, weight: npt.ArrayLike) -> Floats:
    """Return b = ln(K - 1) + ln(p / (1 - p)): the logit at which softmax gives the right of K keys the weight p.

    Derived by inverting `softmax_target_weight`: at bounded logits attention over enough keys must disperse.

    Raises:
        ValueError: fewer than 2 pairs, a weight outside 0..1; a weight of 0 or 1 takes an infinite logit.
    """
    share = above("weight", weight, 0, 1)
    return np.log(within("pairs", pairs, 2) - 1) + np.log(share) - np.log1p(-share)


def independent_values_bits(pairs: npt.ArrayLike, values: npt.ArrayLike) -> Floats:
    """Return K log2 V: the bits that K values drawn with replacement from V demand of a state, keys known.

    Of keys that are written again, only the last value is asked for: count each key once.

    Raises:
        ValueError: a negative number of pairs, fewer than 1 value.
    """
    return within("pairs", pairs, 0) * np.log2(within("values", values, 1))


def distinct_values_bits(pairs: int, values: int) -> float:
    """Return log2(V! / (V - K)!): the bits that K values drawn without replacement from V demand, keys known.

    Raises:
        ValueError: fewer than 1 value, pairs outside 0..V.
    """
    within("values", values, 1)
    within("pairs", pairs, 0, values)
    return (math.lgamma(values + 1) - math.lgamma(values - pairs + 1)) / math.log(2)
