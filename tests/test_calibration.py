"""Every check of the calibration passes, says what it compared, and depends on nothing but its seed."""

from __future__ import annotations

import json

import pytest
from calibration_sizes import shrink
from information_cells import Found, instrument

from seqscale import profiles
from seqscale.probes.calibration_base import Comparison, between
from seqscale.probes.information import CHECKS


@pytest.fixture(autouse=True)
def smaller(monkeypatch):
    shrink(monkeypatch)


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_passes_and_lists_what_it_compared(check):
    found = Found(instrument(check))
    compared = [Comparison(**fields) for fields in found.facts["comparisons"]]
    assert len({c.what for c in compared}) >= 2
    assert min(c.allowed for c in compared) > 0
    assert found.values("calibration_error") == [max(c.error for c in compared)]
    assert found.values("calibration_error")[0] <= 1
    worst = max(compared, key=lambda c: c.error)
    assert found.note.startswith(f"{worst.what}: measured {worst.measured:.6g}, known {worst.known:.6g}, ")


def test_the_document_is_json_without_curves():
    text = Found(instrument("recall-softmax")).document
    assert profiles.read(text).curves == {}
    first = json.loads(text)["facts"]["comparisons"][0]
    assert first.keys() == {"what", "measured", "known", "allowed"}


def test_an_error_counts_what_is_allowed():
    assert Comparison(what="", measured=2.0, known=3.5, allowed=0.5).error == 3
    assert between("", 0.4, 0.2, 0.5, 0.1).error == 0
    assert between("", 0.7, 0.2, 0.5, 0.1).error == pytest.approx(2)
    assert between("", 0.1, 0.2, 0.5, 0.1).error == pytest.approx(1)


def test_the_same_check_finds_the_same_and_another_seed_something_else():
    one, again, other = (Found(instrument("recall-delta", seed=seed)) for seed in (0, 0, 1))
    assert one.readings == again.readings and one.document == again.document
    assert one.document != other.document
