"""Held-out R^2 of ridge regression, many targets and penalties from one factorisation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from seqscale.estimators.split import Split
from seqscale.theory.checks import within

Floats = npt.NDArray[np.float64]


def held_out_r2(features: Floats, targets: Floats, split: Split, penalties: Sequence[float]) -> Floats:
    """Return R^2 on the test sequences of the best linear readout of each target, (K,).

    Each target has its own penalty, chosen on the validation sequences. R^2 = 1 - mean squared error / variance of the
    test targets; it is not clipped: what is not there scores below 0 on average, not 0. With penalties (0,) alone it
    is what `theory.memory.expected_held_out` expects.

    Args:
        features: (n, N), one sequence a row.
        targets: (n, K).
        split: which sequences are fitted to, chosen by and scored.
        penalties: multiples of the features' mean variance that are tried; 0 is least squares, of least norm where
            features depend on each other.

    Raises:
        ValueError: no penalty or a negative one, rows that do not match, a target that is constant in the test part.
    """
    if not len(penalties) or len(features) != len(targets):
        raise ValueError(f"features {features.shape}, targets {targets.shape}: rows must match, with a penalty to try")
    within("penalties", penalties, 0)
    train, validation, test = (np.asarray(features[part], np.float64) for part in _parts(split))
    y_train, y_validation, y_test = (np.asarray(targets[part], np.float64) for part in _parts(split))
    spread = y_test.var(axis=0, ddof=1)
    if not spread.all():
        raise ValueError(f"targets: column {int(spread.argmin())} is constant; a share of no variance has no value")
    x_mean, y_mean = train.mean(axis=0), y_train.mean(axis=0)
    centred = train - x_mean
    values, vectors = np.linalg.eigh(centred.T @ centred / len(train))
    values[values < len(values) * np.finfo(np.float64).eps * values[-1]] = 0  # directions without variance
    shared = vectors.T @ (centred.T @ (y_train - y_mean)) / len(train)
    rotated = (validation - x_mean) @ vectors
    tried = np.array([_coefficients(values, shared, penalty) for penalty in penalties])
    errors = np.array([np.square(y_validation - y_mean - rotated @ b).mean(axis=0) for b in tried])
    best = tried[errors.argmin(axis=0), :, np.arange(errors.shape[1])].T
    residual = y_test - y_mean - (test - x_mean) @ (vectors @ best)
    share_left: Floats = np.square(residual).mean(axis=0) / spread
    return 1 - share_left


def _parts(split: Split) -> tuple[npt.NDArray[np.int64], ...]:
    return split.train, split.validation, split.test


def _coefficients(values: Floats, shared: Floats, penalty: float) -> Floats:
    """Return coefficients in the eigenbasis, (N, K); none along directions without variance."""
    shrunk = (values + penalty * values.mean())[:, None]
    coefficients: Floats = np.divide(shared, shrunk, out=np.zeros_like(shared), where=shrunk > 0)
    return coefficients
