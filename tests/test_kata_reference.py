"""The replay equals the teaching program's own numbers: states to 1e-12, counts, indices and bytes exactly."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from seqscale.kata import fused
from seqscale.kata.constants import KataConstants
from seqscale.kata.network import Network, build, initial_state, rnn_step, wave
from seqscale.kata.replay import replay

REFERENCE = json.loads((Path(__file__).parent / "data" / "kata_reference.json").read_text())
TO_ROUNDING = {"final_hidden", "first_token_sim", "most_similar_sim", "sim"}


@pytest.fixture(scope="module")
def record():
    """What `seqscale kata --json` prints, after a trip through JSON."""
    return json.loads(json.dumps(replay(KataConstants()).record(), allow_nan=False))


def differences(expected, actual, path="", tolerance=0.0):
    """Yield every place where two JSON values differ in structure or by more than the tolerance."""
    if isinstance(expected, dict):
        if not isinstance(actual, dict) or (path and expected.keys() != actual.keys()):
            yield f"{path}: keys {actual}"
            return
        for key, value in expected.items():
            yield from differences(value, actual[key], f"{path}/{key}", 1e-12 if key in TO_ROUNDING else tolerance)
    elif isinstance(expected, list):
        if not isinstance(actual, list) or len(expected) != len(actual):
            yield f"{path}: length"
            return
        for i, (a, b) in enumerate(zip(expected, actual, strict=True)):
            yield from differences(a, b, f"{path}[{i}]", tolerance)
    elif type(expected) is not type(actual) or abs(expected - actual) > tolerance:
        yield f"{path}: {expected!r} is not {actual!r}"


@pytest.mark.parametrize("key", REFERENCE)
def test_every_key_of_the_reference_is_there_with_its_structure_and_numbers(record, key):
    assert list(differences(REFERENCE[key], record[key], key)) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("forward", 6, "final_hidden", 15), 1e-11),
        (("bottleneck", 2, "most_similar"), 1),
        (("parallel", 0, "speedup"), 1e-14),
        (("bptt_bytes", 3, "h1024"), 1),
    ],
)
def test_the_comparison_notices_a_wrong_number(path, value):
    wrong = json.loads(json.dumps(REFERENCE))
    place = wrong
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] += value
    assert len(list(differences(REFERENCE, wrong))) == 1


def test_what_the_reference_does_not_have_carries_a_unit_with_every_number(record):
    own = {key: value for key, value in record.items() if key not in REFERENCE}
    assert own.keys() >= {"forward_time", "dims_per_token", "memory_example", "memory_whole_model", "findings"}

    def bare(value, path):
        if isinstance(value, dict):
            if value.keys() == {"value", "unit"}:
                assert isinstance(value["unit"], str)
                return
            for key, inner in value.items():
                yield from bare(inner, f"{path}/{key}")
        elif isinstance(value, list):
            for inner in value:
                yield from bare(inner, path)
        elif isinstance(value, int | float):
            yield path

    assert list(bare(own, "")) == []


def test_the_worked_memory_example_and_its_multiplication(record):
    example = record["memory_example"]
    assert example["layer"] == {"value": 40_960_000, "unit": "B"}
    assert example["whole_model"] == {"value": 40_960_000 * 24 * 32, "unit": "B"}
    cells = {
        (c["seq_len"]["value"], c["hidden"]["value"]): c["whole_model"]["value"] for c in record["memory_whole_model"]
    }
    assert len(cells) == 12
    assert cells[8192, 1024] == 33_554_432 * 24 * 32


def test_dims_per_token(record):
    assert [row["dims_per_token"]["value"] for row in record["dims_per_token"]] == [51.2, 5.12, 0.512]


def test_times_are_positive_and_agree_with_the_time_per_step(record):
    for row in record["forward_time"]:
        assert row["time"]["value"] > 0
        assert row["time_per_step"]["value"] == row["time"]["value"] / row["seq_len"]["value"]


def test_one_compiled_kernel_reaches_the_programs_states():
    network = build(KataConstants())
    for row in REFERENCE["forward"]:
        found = fused.read(network, wave(row["seq_len"], 8))
        np.testing.assert_allclose(found, row["final_hidden"], rtol=0, atol=1e-12)


def test_the_kernel_takes_a_long_pass_in_stretches_and_every_term_of_a_step(monkeypatch):
    monkeypatch.setattr(fused, "STRETCH", 3)
    rng = np.random.default_rng(0)
    network = Network(w_h=rng.normal(size=(5, 5)) / 2, w_x=rng.normal(size=(5, 2)), bias=rng.normal(size=5))
    inputs = rng.normal(size=(10, 2))
    h = initial_state(network)
    for x in inputs:
        h = rnn_step(network, h, x)
    np.testing.assert_allclose(fused.read(network, inputs), h, rtol=0, atol=1e-12)


def test_without_numba_the_kernel_is_left_out_and_all_else_is_replayed():
    program = """
import sys
sys.modules["numba"] = None
from seqscale.kata.constants import KataConstants
from seqscale.kata.replay import replay
from seqscale.kata.text import render
result = replay(KataConstants(lengths=(2, 4)))
print(result.record()["forward_time"][0]["fused_time"])
print(render(result))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("{'value': None, 'unit': 's'}\n")
    assert "compiled kernel" not in done.stdout
