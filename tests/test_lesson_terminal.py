"""Lesson 1 on a real terminal: it asks until the answer is allowed, measures, and judges the answer."""

from __future__ import annotations

import re

from terminals import Terminal


def test_on_a_terminal_it_asks_until_the_answer_is_allowed_and_then_judges_it():
    with Terminal("1", "--lengths", "4,8", "--rounds", "2") as run:
        asked = run.wait_for("Your prediction (a number from 0.1 to 100): ")
        assert "How many times as long does it take?" in " ".join(asked.split())
        run.write(b"banana\n")
        assert "prediction 'banana': write a number from 0.1 to 100." in run.wait_for("0.1 to 100): ")
        run.write(b"\x1b[A\xff\n")
        assert "write a number from 0.1 to 100." in run.wait_for("0.1 to 100): ")
        run.write(b"1e9\n")
        assert "prediction '1e9'" in run.wait_for("0.1 to 100): ")
        run.write(b"2\n")
        run.wait_for("=> ")
        assert run.status() == 0
        assert "Your prediction: 2 times. Measured: " in run.text and "Traceback" not in run.text
    assert "not measured" not in run.text and "nothing follows" not in run.text
    for way in ("one torch call", "a Python loop", "one compiled loop"):
        assert re.search(rf"elman, {way} .*\[.*\] us\n", run.text), run.text
