"""A change of regime is flagged, found where it is, and not seen where there is none."""

import math

import numpy as np
import pytest
from fit_tables import LONG, NOISES, SEEDS, SHORT, TRUTHS, points, table

from seqscale.fit.classes import growth_classes
from seqscale.fit.power import fit_power
from seqscale.fit.regime import lack_of_fit, runs_probability

SMOOTH = [name for name in TRUTHS if "cache step" not in name]


def judged(measured):
    return lack_of_fit(measured, fit_power(measured), growth_classes(measured))


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("name", ["cache step", "a + cache step"])
def test_a_cache_step_is_flagged_and_found(name, noise):
    enough = (
        0.85 if name == "a + cache step" and noise == 0.10 else 0.95
    )  # noise hides part of a curve that bends anyway
    found = [judged(table(name, LONG, noise, seed)) for seed in SEEDS]
    assert np.mean([f.rejected for f in found]) >= enough
    changes = [f.change for f in found if f.change is not None]
    assert np.mean([c.at == 4096 for c in changes]) >= 0.95
    assert len(changes) >= enough * len(found)
    assert np.median([c.slope_before for c in changes]) == pytest.approx(1, abs=0.06)
    assert np.median([c.slope_after for c in changes]) == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize("noise", NOISES)
def test_a_step_at_the_last_size_is_flagged_but_cannot_be_placed(noise):
    found = [judged(table("cache step", SHORT, noise, seed)) for seed in SEEDS]
    assert np.mean([f.rejected for f in found]) >= (0.95 if noise <= 0.03 else 0.75)
    assert np.mean([f.change is not None for f in found]) <= (0.05 if noise <= 0.03 else 0.25)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("name", SMOOTH)
def test_smooth_laws_are_not_flagged(name, noise):
    found = [judged(table(name, SHORT, noise, seed)) for seed in SEEDS]
    assert np.mean([f.rejected for f in found]) <= 0.05
    assert all(f.change is None for f in found if not f.rejected)


@pytest.mark.parametrize(("rounds", "launches"), [(9, 3), (30, 1), (10, 5)])
def test_smooth_laws_are_not_flagged_with_other_replicates(rounds, launches):
    found = [judged(table("a + T", SHORT, 0.10, seed, rounds, launches)) for seed in SEEDS]
    assert np.mean([f.rejected for f in found]) <= 0.05


def test_a_change_of_slope_is_found_with_both_slopes():
    law = np.where(np.array(LONG) < 2048, np.array(LONG), np.array(LONG) ** 0.5 * 2048**0.5)  # from 1 to 1/2
    found = judged(points(LONG, np.tile(law[:, None], (1, 9))))
    assert found.change is not None
    assert found.change.slope_before == pytest.approx(1, abs=0.03)
    assert found.change.slope_after == pytest.approx(0.5, abs=0.03)
    assert found.change.at in (2048, 4096)  # 2048 itself lies on both


def test_errors_under_the_floor_are_no_change():
    wobble = np.array([1.005, 0.995] * 4)
    assert not judged(points(SHORT, np.tile((np.array(SHORT) * wobble)[:, None], (1, 9)))).rejected


@pytest.mark.parametrize(
    ("signs", "probability"),
    [
        ("++--", 2 / 6),  # two runs, of 6 orders: ++--, --++
        ("+-+-", 1.0),
        ("++++", 1.0),
        ("+--+", 4 / 6),  # three runs or fewer: those and +--+, -++-
        ("++++----", 2 / math.comb(8, 4)),
    ],
)
def test_probability_of_few_runs(signs, probability):
    assert runs_probability([s == "+" for s in signs]) == pytest.approx(probability)
