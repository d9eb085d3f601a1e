"""Sizes at which the checks of the calibration are cheap; in full they run whenever an instrument is asked."""

from __future__ import annotations

from seqscale.probes import calibration_memory, calibration_recall, calibration_tokens, truncation


def shrink(patch):
    """Make the checks smaller, with a monkeypatch."""
    asked = calibration_memory.asked

    def of_fewer(cell, probe, *rest, **given):
        fewer = {"sequences": 1000} if probe == "memory-curve" else {}
        return asked(cell, probe, *rest, **(fewer | given))

    patch.setattr(calibration_memory, "asked", of_fewer)
    for module, name, value in (
        (calibration_memory, "UNITS", 8),
        (calibration_memory, "LAGS", 24),
        (calibration_memory, "DRIVEN_UNITS", 128),
        (calibration_tokens, "SEQUENCES", 3000),
        (calibration_recall, "TRIALS", 200),
        (truncation, "HELD_OUT", 300),
        # R^2 is all that the check asks for
        (truncation, "truncated_gradients", lambda windows: ([None] * 2, [None] * 2)),
        (truncation, "kept", lambda windows: 0),
    ):
        patch.setattr(module, name, value)
