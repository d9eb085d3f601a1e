"""The checks of associative recall by rules: additive, delta and softmax."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from seqscale.probes.calibration_base import SIGMAS, Check, Comparison, asked
from seqscale.probes.recall_constructed import RULES, random_keys, rebound, recalled, scores
from seqscale.probes.replicates import data_of
from seqscale.records import Cell, Option
from seqscale.theory.recall import additive_recall_accuracy, delta_forgetting, softmax_target_weight

WIDTH = SYMBOLS = 16
TRIALS = 2000  # of the delta rule
MODEL = 0.005  # what the mixture formula, which takes overlaps of keys as normal, may be off at this width


def check_additive(cell: Cell) -> list[Comparison]:
    """Compare the accuracy of linear attention with the mixture formula, up to 16 times as many pairs as features."""
    found, rng = [], data_of(cell)
    for pairs in (1, 4, 8, 16, 32, 64, 128, 256):
        given: dict[str, Option] = {"form": "constructed", "pairs": pairs, "symbols": SYMBOLS, "sequences": 256}
        _, right = recalled(asked(cell, "recall", "linear-attention", pairs, WIDTH, {}, **given), pairs, rng)
        each = right.mean(axis=1)  # trials are independent, the questions of one trial are not
        allowed = MODEL + SIGMAS * float(each.std(ddof=1)) / len(each) ** 0.5
        known = additive_recall_accuracy(pairs, WIDTH, SYMBOLS)
        found.append(Comparison(what=f"{pairs} pairs", measured=float(each.mean()), known=known, allowed=allowed))
    return found


def check_delta(cell: Cell) -> list[Comparison]:
    """Compare what the delta rule still reads of a value, after further writes, with (1 - 1/d)^j."""
    rng, pairs = data_of(cell), 65
    distances = np.array([0, 1, 2, 4, 8, 16, 32, 64])
    keys, values = random_keys(TRIALS, pairs, WIDTH, "random", rng), rng.integers(SYMBOLS, size=(TRIALS, pairs))
    asked_for = pairs - 1 - distances
    read = scores(RULES["deltanet"], keys, values, asked_for, SYMBOLS, 1.0)
    right = np.take_along_axis(read, values[:, asked_for, None], axis=2)[:, :, 0]
    allowed = SIGMAS * right.std(axis=0, ddof=1) / TRIALS**0.5 + 1e-9  # of the newest pair nothing is left to chance
    known = delta_forgetting(distances, WIDTH)
    found = [
        Comparison(what=f"after {j} writes", measured=m, known=k, allowed=a)
        for j, m, k, a in zip(distances, right.mean(axis=0), known, allowed, strict=True)
    ]
    given: dict[str, Option] = {
        "form": "rebind",
        "pairs": 8 * WIDTH,
        "keys": WIDTH,
        "symbols": SYMBOLS,
        "geometry": "orthonormal",
    }
    again = rebound(asked(cell, "recall", "deltanet", 8 * WIDTH, WIDTH, {}, **given), 8, rng)
    return [*found, Comparison(what="keys written 8 times", measured=again.mean(), known=1.0, allowed=1e-9)]


def check_softmax(cell: Cell) -> list[Comparison]:
    """Compare attention over orthonormal keys, each with a value of its own, with the weight of the right one."""
    rng = data_of(cell)
    keys = random_keys(64, WIDTH, WIDTH, "orthonormal", rng)
    own = np.tile(np.arange(WIDTH), (len(keys), 1))
    found = []
    for logit in (0.0, 2.0, 8.0, 30.0):
        read = scores(RULES["attention"], keys, own, np.arange(WIDTH), WIDTH, logit)
        weight = float(read.diagonal(axis1=1, axis2=2).mean())
        known = float(softmax_target_weight(WIDTH, logit))
        found.append(Comparison(what=f"weight at logit {logit:g}", measured=weight, known=known, allowed=1e-9))
    given: dict[str, Option] = {"form": "constructed", "pairs": WIDTH, "symbols": SYMBOLS, "geometry": "orthonormal"}
    _, right = recalled(asked(cell, "recall", "attention", WIDTH, WIDTH, {}, **given), WIDTH, rng)
    return [*found, Comparison(what="separated keys: accuracy", measured=right.mean(), known=1.0, allowed=1e-9)]


CHECKS: Mapping[str, Check] = {
    "recall-additive": check_additive,
    "recall-delta": check_delta,
    "recall-softmax": check_softmax,
}
