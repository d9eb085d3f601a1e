"""Lesson 3 measured: states are decoded, and networks trained at both lengths."""

from __future__ import annotations

from lesson_runs import learned


def test_lesson_3_decodes_states_and_trains_at_both_lengths():
    finding, found = learned(
        3, retrieval_length=4, pairs=1, recalled=(2, 3), steps=3, rates=(0.01,), models=2, sequences=300, replicates=2,
        layer=("elman",),
    )  # fmt: skip
    assert found["elman, bits of the token 0 tokens ago"].value > found["elman, bits of the token 3 tokens ago"].value
    for length in (2, 3):
        assert 0 <= found[f"elman, right about the oldest of 1 pairs in {length} tokens"].value <= 1
    assert found["right about 1 pairs, values known and keys not"].value == 1.0, "one value needs no key"
    assert "(not learned in 3 steps)" in finding.sentence
