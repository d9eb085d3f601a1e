"""The measured peak of a process is the predicted peak of its tensors, plus autograd's nodes where there are many."""

from __future__ import annotations

import pytest
from test_worker import Laboratory, Measured, cell, of, outcomes

from seqscale.rows import OutcomeKind

MIB = 2**20


@pytest.fixture(scope="module")
def laboratory():
    laboratory = Laboratory()
    yield laboratory
    laboratory.end()


@pytest.fixture(scope="module")
def linear(tmp_path_factory):
    file = tmp_path_factory.mktemp("own") / "mine.py"
    file.write_text(
        "from torch import nn\n"
        "class Linear(nn.Linear):\n    def __init__(self, width):\n        super().__init__(width, width)\n"
    )
    return f"{file}:Linear"


def measured(laboratory, asked):
    events = laboratory.measure(asked)
    assert outcomes(events)[asked.id].kind is OutcomeKind.ok
    return {event.quantity: event.sample.value for event in of(events, Measured)}


@pytest.mark.parametrize("mode", ["forward", "training"])
@pytest.mark.parametrize("length", [2048, 65536])
def test_a_linear_layer(laboratory, linear, mode, length):
    found = measured(laboratory, cell(linear, length, probe="memory", mode=mode, width=64))
    predicted = found["predicted_peak_bytes"]
    assert abs(found["measured_peak_bytes"] - predicted) <= max(0.03 * predicted, 2 * MIB)


@pytest.mark.parametrize("length", [1024, 8192])
def test_attention(laboratory, length):
    found = measured(laboratory, cell("attention", length, probe="memory", mode="training", width=64))
    predicted = found["predicted_peak_bytes"]
    assert abs(found["measured_peak_bytes"] - predicted) <= max(0.03 * predicted, 2 * MIB)


def test_in_a_loop_the_nodes_explain_what_the_tensors_do_not(laboratory):
    asked = cell("gru", 400, probe="memory", mode="training", width=64, algorithm="reference")
    found = measured(laboratory, asked)
    peak, predicted, nodes = (found[n] for n in ("measured_peak_bytes", "predicted_peak_bytes", "node_bytes"))
    assert nodes > 4 * predicted  # the loop's graph weighs more than its numbers
    assert found["unexplained_bytes"] == peak - predicted - nodes
    assert abs(found["unexplained_bytes"]) <= 0.10 * peak
