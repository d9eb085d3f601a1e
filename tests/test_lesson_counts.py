"""Lesson 4 measured: two layers are counted, and their exact laws give bounds."""

from __future__ import annotations

from pathlib import Path

from lesson_runs import learned

MEAN = f"{Path(__file__).parent / 'own' / 'layers.py'}:Mean"  # of few kernels, which are counted in no time


def test_lesson_4_bounds_the_steps_of_both_layers():
    finding, found = learned(
        4, input_size=4, hidden_size=4, parallel_lengths=(8, 64), cores=64, layer=("attention", MEAN)
    )  # fmt: skip
    assert "layers.py:Mean is surely first at every length up to 1,048,576 tokens" in finding.sentence
    many, few = (found[f"steps of {label}, 64 tokens"] for label in ("attention", "layers.py:Mean"))
    assert many.low > few.high >= few.low > 0
