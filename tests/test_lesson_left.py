"""A lesson can be left at any time, at its prompt and while it measures, without a traceback."""

from __future__ import annotations

import pytest
from terminals import Terminal


@pytest.mark.parametrize(("number", "key", "status"), [(1, b"\x04", 0), (3, b"\x03", 130)], ids=["Ctrl-D", "Ctrl-C"])
def test_a_key_leaves_the_prompt_cleanly(number, key, status):
    with Terminal(str(number)) as run:
        run.wait_for("Your prediction (")
        run.press(key)
        assert run.status() == status
    assert "Traceback" not in run.text and "=> " not in run.text


def test_yes_asks_nothing_and_a_measurement_can_be_left():
    with Terminal("4", "--yes") as run:
        run.wait_for(" cells")  # the line of progress
        run.press(b"\x03")
        assert run.status() == 130
    assert "prediction" not in run.text and "Traceback" not in run.text
    assert "interrupted." in run.text, "a lesson keeps nothing"
