"""The probe `count`: what the layer says it carries is what its state's storages hold; unknown work is not reported."""

from __future__ import annotations

import pytest

from seqscale.errors import UnsupportedError
from seqscale.layers.catalogue import LAYERS, find
from seqscale.probes.catalogue import PROBES
from seqscale.probes.count import CountProbe
from seqscale.probes.memory import MemoryProbe
from seqscale.records import Cell


def cell(layer, probe="count", **fields):
    spec = find(layer)
    fixed = {
        "probe": probe, "probe_version": 1, "layer": spec.name, "layer_version": spec.version, "target": spec.target,
        "algorithm": spec.algorithms[0], "mode": "training", "length": 6, "width": 8, "batch": 2,
        "dtype": "float32", "device": "cpu", "threads": 1, "seed": 0, "launcher": "fork", "machine": "m", "torch": "t",
    }  # fmt: skip
    return Cell(**(fixed | fields))


def readings(trial):
    return {reading.quantity: reading.value for reading in trial.first() + trial.again()}


@pytest.mark.parametrize(("layer", "algorithm"), [(n, a) for n, s in LAYERS.items() for a in s.algorithms])
@pytest.mark.parametrize("length", [2, 9])  # after one token attention's keys and values still share one product
def test_state_bytes_are_the_elements_that_the_layer_counts(layer, algorithm, length):
    trial = CountProbe().prepare(cell(layer, mode="decode", algorithm=algorithm, length=length))
    found = readings(trial)
    assert found["state_bytes"] == found["state_elements"] * 4 * 2
    assert trial.note is None


@pytest.mark.parametrize("mode", ["forward", "training"])
def test_counts_of_a_call(mode):
    found = readings(CountProbe().prepare(cell("elman", algorithm="reference", mode=mode)))
    kept = 4 * 2 * 8 * (6 + 1)  # the state before and after each step, once
    assert found["saved_bytes"] == (kept if mode == "training" else 0)
    assert set(found) == set(PROBES["count"].quantities) - {"state_elements", "state_bytes"}


def test_work_with_an_unknown_part_is_left_out_and_the_operator_is_named(tmp_path):
    own = write(tmp_path, "torch.linalg.matrix_exp(x @ x.mT) @ x")
    trial = CountProbe().prepare(cell(own, mode="forward"))
    assert not {"work", "traffic_bytes", "kernel_span", "ideal_span"} & set(readings(trial))
    assert "linalg_matrix_exp" in trial.note


def test_an_own_layer_without_a_step_carries_nothing_that_can_be_counted(tmp_path):
    with pytest.raises(UnsupportedError, match="no step"):
        readings(CountProbe().prepare(cell(write(tmp_path, "x"), mode="decode")))


def test_where_the_peak_cannot_be_set_back_the_prediction_stands_alone(monkeypatch, tmp_path):
    monkeypatch.setattr("seqscale.probes.memory._CLEAR_REFS", tmp_path / "no" / "clear_refs")
    trial = MemoryProbe().prepare(cell("elman", probe="memory"))
    found = readings(trial)
    assert set(found) == {"predicted_peak_bytes", "saved_bytes", "graph_nodes", "node_bytes"}
    assert "unsupported here" in trial.note


def write(folder, expression):
    file = folder / "mine.py"
    file.write_text(
        "import torch\nfrom torch import nn\n"
        "class Mine(nn.Module):\n"
        "    def __init__(self, width):\n        super().__init__()\n"
        f"    def forward(self, x):\n        return {expression}\n"
    )
    return f"{file}:Mine"
