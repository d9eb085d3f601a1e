"""On a CUDA device: the gate passes, the probes measure, and what is exact is what the processor finds."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from catalogue import IMPLEMENTATIONS
from information_cells import Found, cell
from test_gate import cell as gate_cell
from test_worker import Laboratory, outcomes
from test_worker import cell as worker_cell

import seqscale
from seqscale.errors import RejectedError, UnsupportedError
from seqscale.layers.catalogue import LAYERS
from seqscale.probes.gate import run_gate
from seqscale.probes.registry import probe_of
from seqscale.rows import OutcomeKind

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device here"),
    # cuDNN packs no weights in bfloat16; cuBLAS is the first to touch the device in a thread of autograd's
    pytest.mark.filterwarnings("ignore:RNN module weights are not part"),
    pytest.mark.filterwarnings("ignore:Attempting to run cuBLAS"),
]
MIB = 2**20


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    """As in a worker: float32 means float32."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


# cuDNN's tanh is off by 1e-5; where the state does not fade, its gradients add that up to more than the gate allows
REJECTED = {("elman-orthogonal-library", "float32")}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "implementation", [i for i in IMPLEMENTATIONS if i.algorithm not in ("reference", "fused")], ids=str
)
def test_our_layers_pass_the_gate(implementation, dtype):
    spec = LAYERS[implementation.layer]
    asked = replace(gate_cell(spec, implementation.algorithm, dtype, implementation.options), device="cuda")
    if (str(implementation), dtype) in REJECTED:
        with pytest.raises(RejectedError, match="the gradient of core"):
            run_gate(asked)
        return
    report = run_gate(asked)
    assert len(report.checks) >= 4 and all(c.worst <= c.tolerance for c in report.checks)


@pytest.mark.parametrize("layer", [name for name, spec in LAYERS.items() if "fused" in spec.algorithms])
def test_a_kernel_of_the_cpu_is_unsupported(layer):
    with pytest.raises(UnsupportedError, match="runs on a CPU, not on cuda"):
        run_gate(replace(gate_cell(LAYERS[layer], "fused"), device="cuda"))


@pytest.mark.parametrize("probe", ["time", "memory", "count"])
@pytest.mark.parametrize("mode", ["forward", "training"])
@pytest.mark.parametrize("layer", list(LAYERS))
def test_a_layer_is_measured(layer, mode, probe):
    spec = LAYERS[layer]
    algorithm = next(name for name in reversed(spec.algorithms) if name != "fused")
    asked = cell(probe, layer, 64, 32, mode=mode, algorithm=algorithm, device="cuda")
    trial = probe_of(probe).prepare(asked)
    readings = {reading.quantity: reading.value for reading in (*trial.first(), *trial.again())}
    positive = {"time": "time", "memory": "measured_peak_bytes", "count": "work"}[probe]
    assert trial.note is None and readings[positive] > 0


@pytest.mark.parametrize("length", [1024, 8192])
@pytest.mark.parametrize("mode", ["forward", "training"])
def test_the_measured_peak_of_attention_is_the_predicted_one_and_what_its_backward_kernel_works_in(mode, length):
    trial = probe_of("memory").prepare(cell("memory", "attention", length, 64, mode=mode, device="cuda"))
    found = {reading.quantity: reading.value for reading in (*trial.first(), *trial.again())}
    predicted, work_space = found["predicted_peak_bytes"], {"forward": 0, "training": 4 * 4 * length * 64}[mode]
    assert -2 * MIB <= found["measured_peak_bytes"] - predicted <= work_space + max(0.03 * predicted, 2 * MIB)


def test_a_worker_measures_it():
    laboratory = Laboratory()
    asked = worker_cell("gru", 64, probe="time", mode="training", width=32, device="cuda")
    events = laboratory.measure(asked)
    laboratory.end()
    assert outcomes(events)[asked.id].kind is OutcomeKind.ok


def test_the_ceilings_are_measured():
    found = seqscale.machine(device="cuda")
    assert found.threads == (1,)
    for ceiling in ("product", "stream", "dispatch"):
        assert found.seen(ceiling, 1).value > 0
    step = found.row("step", 1).outcome
    assert step.kind is OutcomeKind.unsupported and "tree" in step.reason


SAME = {
    "memory-curve": ("memory_capacity", {"lags": 8, "sequences": 400, "replicates": 2}),
    "fisher-memory": ("fisher_memory", {"lags": 8, "sequences": 4, "replicates": 2}),
    "token-bits": ("first_token_bits", {"sequences": 400, "replicates": 2}),
    "segments": ("token_bits", {"sequences": 400, "replicates": 2}),
    "gradient-horizon": ("gradient_slope", {"sequences": 2, "replicates": 2}),
    "recall": ("accuracy", {"form": "constructed", "pairs": 8, "replicates": 2}),
}


@pytest.mark.parametrize("probe", list(SAME))
@pytest.mark.parametrize("layer", ["elman", "lru", "deltanet"])
def test_what_is_not_trained_is_found_as_on_the_processor(layer, probe):
    if probe == "recall" and layer != "deltanet":
        pytest.skip("no recall can be constructed for it")
    quantity, conditions = SAME[probe]
    asked = cell(probe, layer, 24, 16, conditions=conditions, mode="training" if "gradient" in probe else "forward")
    ours, theirs = (Found(replace(asked, device=device)).values(quantity) for device in ("cuda", "cpu"))
    assert ours == pytest.approx(theirs, rel=2e-3, abs=2e-3)


TRAINED = {
    "recall": {"pairs": 2, "keys": 4, "symbols": 4},
    "truncation": {"lag": 2, "window": 2, "trained": "all"},
    "state-ceiling": {"symbols": 2},
    "copy-memory": {"memorised": 2},
    "adding": {},
}


@pytest.mark.parametrize("probe", list(TRAINED))
@pytest.mark.parametrize("layer", ["elman", "lstm", "lru", "deltanet"])
def test_models_are_trained(layer, probe):
    conditions = TRAINED[probe] | {"steps": 4, "sequences": 8, "replicates": 2, "rates": "0.003,0.01"}
    asked = cell(probe, layer, 12, 16, conditions=conditions, device="cuda")
    again = [Found(asked).readings for _ in range(2)]
    assert len(again[0]) > 0 and [r.quantity for r in again[0]] == [r.quantity for r in again[1]]
