"""Laws from small counts: right at every size they claim, silent where none verifies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from catalogue import every_algorithm
from torch import nn

import seqscale
from seqscale.errors import UnsupportedError, UsageError
from seqscale.surveys import survey
from seqscale.tracing.trace import trace

OWN = Path(__file__).parent / "own" / "traced.py"
EXACT = ("work", "traffic_bytes", "kernels", "kernel_span", "ideal_span")


def surveyed(name, mode="forward", **asked):
    return seqscale.trace(name, mode=mode, **({"width": 16} | asked)).surveys[0]


def counted(module, length, width=16, mode="forward"):
    return trace(module, (1, length, width), torch.float32, mode).counts


@pytest.fixture
def only_the_prime(monkeypatch):
    """Hold out 521 alone, and give it time: what the other tests are about costs a second instead of six."""
    monkeypatch.setattr(survey, "HELD_OUT", (521,))
    monkeypatch.setattr(survey, "ONE_S", 60.0)


@every_algorithm
def test_every_law_of_the_catalogue_holds_where_it_was_not_solved(implementation, only_the_prime):
    options = tuple(implementation.options.items())
    if "hidden" in implementation.options:
        options = (("hidden", 32),)
    found = seqscale.trace(
        implementation.layer, algorithm=implementation.algorithm, mode="forward", width=16, options=options
    ).surveys[0]
    assert found.executed is None
    for quantity in EXACT:
        law = found.laws[quantity].over_length
        assert law is not None, quantity
        assert max(dims["T"] for dims in law.verified_at) > 512
    module = implementation_at(implementation, dict(options), 37)
    for quantity in EXACT:  # 37 is in no list of lengths
        assert found.laws[quantity].over_length.value(T=37) == getattr(module, quantity)


def implementation_at(implementation, options, length):
    from seqscale.layers.build import build
    from seqscale.layers.catalogue import LAYERS

    spec = LAYERS[implementation.layer]
    built = build(spec.target, spec.family, 16, options, implementation.algorithm, "float32", "cpu", 0)
    return counted(built.module, length)


def test_a_chunked_law_knows_its_chunk():
    from own.traced import Chunked

    found = surveyed(f"{OWN}:Chunked")
    far = counted(Chunked(16), 5000)
    for quantity in EXACT:
        law = found.laws[quantity].over_length
        assert law is None or law.value(T=5000) == getattr(far, quantity), quantity
    assert found.laws["kernel_span"].over_length.growth("T").text() == "T"
    assert "ceil(T/64)" in found.laws["kernels"].over_length.text()


def test_a_chunk_longer_than_every_small_length_gives_no_wrong_law():
    from own.traced import Chunked

    found = surveyed(f"{OWN}:Chunked", options=(("chunk", 4096),))
    for length in (3000, 5000, 20000):
        far = counted(Chunked(16, chunk=4096), length)
        for quantity in EXACT:
            law = found.laws[quantity].over_length
            if law is not None and not law.extrapolates(T=length):
                assert law.value(T=length) == getattr(far, quantity), (quantity, length)


def test_a_layer_that_must_see_its_data_is_counted_on_real_runs():
    found = surveyed(f"{OWN}:ReadsItsInput")
    assert "item" in found.executed
    assert "traced.py" in found.executed
    assert found.laws["kernels"].over_length.text() == "2"


def test_counts_that_depend_on_the_data_give_no_law():
    found = surveyed(f"{OWN}:StopsWhenItLikes")
    assert found.laws == {}
    assert any("no law holds" in note for note in found.notes)


def test_a_layer_for_short_sequences_says_where_it_stops():
    found = surveyed(f"{OWN}:Short")
    assert any("T =" in note for note in found.notes)
    assert found.laws["work"].over_length.reach("T")[1] <= 100


def test_operators_without_a_law_leave_no_number():
    result = seqscale.trace(f"{OWN}:Exotic", mode="forward", width=16)
    found = result.surveys[0]
    assert found.unknown_operators
    assert not {"work", "traffic_bytes", "kernel_span", "ideal_span"} & set(found.laws)
    assert found.unknown_operators[0] in result.text()
    assert result.record()["lower_bound"] is True


def test_a_layer_that_never_runs_says_its_own_error():
    with pytest.raises(UnsupportedError, match="it never works"):
        surveyed(f"{OWN}:Broken")


def test_a_module_in_hand_is_traced_as_it_is(only_the_prime):
    found = seqscale.trace(nn.GRU(8, 8, batch_first=True), width=8, mode="forward").surveys[0]
    assert (found.layer, found.algorithm) == ("GRU", "own")
    assert found.laws["kernel_span"].over_length.text() == "9*T + 2"


def test_decoding_of_attention_grows_with_its_context(only_the_prime):
    found = surveyed("attention", "decode")
    assert found.laws["work"].over_length.growth("T").text() == "T"
    constant = surveyed("gru", "decode")
    assert constant.laws["work"].over_length.growth("T").text() == "constant"
    with pytest.raises(UnsupportedError, match="step"):
        surveyed(f"{OWN}:Chunked", "decode")


def test_library_and_reference_differ_by_named_operators(only_the_prime):
    found = surveyed("gru")
    seen = found.difference
    assert seen.work - seen.reference_work == sum(work for _, _, work in seen.operators)
    assert surveyed("gru", algorithm="reference").difference is None


def test_json_has_a_unit_for_every_number(only_the_prime):
    record = seqscale.trace("elman", mode="training", width=16, lengths=(100, 2**20)).record()
    json.dumps(record, allow_nan=False)
    assert set(record["laws"]) == set(record["units"]) - {"length", "parallelism"}
    assert record["laws"]["work"]["exact"]
    assert all(law["verified_at"] for law in record["laws"].values() if law["exact"])
    assert [row["length"] for row in record["counts"]] == [100, 2**20]
    assert [row["extrapolated"] for row in record["counts"]] == [False, True]
    assert isinstance(seqscale.trace("attention", width=16).record(), list)


def test_bad_input_is_named():
    with pytest.raises(UsageError, match="--mode sideways"):
        seqscale.trace("gru", mode="sideways")
    with pytest.raises(UsageError, match="gruu"):
        seqscale.trace("gruu")
