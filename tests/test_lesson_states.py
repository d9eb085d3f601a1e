"""Lesson 2 measured: bits that cannot be more than a token has."""

from __future__ import annotations

from lesson_runs import learned


def test_lesson_2_finds_a_token_that_was_just_read_and_no_more_bits_than_it_has():
    _, found = learned(2, encoded=(2, 4), sequences=300, replicates=2, layer=("elman",))
    first = [found[f"elman, bits of the first token after {n}"].value for n in (1, 2, 4)]
    assert 2.5 < first[0] <= 3.0 + 1e-9
    assert first[0] >= first[2] >= -0.1
