"""A bad constant cannot be built: the error names the option, what was written, and the cure."""

import dataclasses

import pytest

from seqscale.errors import UsageError
from seqscale.kata import constants
from seqscale.kata.constants import KataConstants
from seqscale.kata.replay import UNITS

OPTIONS = {f.name: f"--{f.name.replace('_', '-')}" for f in dataclasses.fields(KataConstants)} | {
    "token_count": "--tokens"
}
SCALES = {"scale_h", "scale_x"}
SEEDS = {"seed_h", "seed_x"}
LISTS = {f.name for f in dataclasses.fields(KataConstants) if isinstance(f.default, tuple)}
WHOLE = OPTIONS.keys() - SCALES - LISTS


def refused(**changes):
    with pytest.raises(UsageError) as caught:
        KataConstants(**changes)
    text = str(caught.value)
    assert "give " in text
    assert len(text) < 240
    assert "\n" not in text
    return text


@pytest.mark.parametrize("name", sorted(WHOLE))
@pytest.mark.parametrize("value", [-1, 0, 10**12, 2.5, True, "8"])
def test_whole_numbers_out_of_range_or_of_another_kind(name, value):
    if value == 0 and name in SEEDS:
        assert getattr(KataConstants(**{name: 0}), name) == 0
        return
    assert refused(**{name: value}).startswith(f"{OPTIONS[name]} {value}: give a whole number from ")


@pytest.mark.parametrize("name", sorted(SCALES))
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e9, -1e9, "0.2", True])
def test_scales(name, value):
    assert refused(**{name: value}).startswith(f"{OPTIONS[name]} {value}: give ")


@pytest.mark.parametrize("name", sorted(LISTS))
@pytest.mark.parametrize("values", [(-1, 2), (1, 10**12), (1, 2.5), (2, 1), (3, 3), ()])
def test_lists(name, values):
    text = refused(**{name: values})
    assert text.startswith(OPTIONS[name])
    assert constants.written(values) in text


@pytest.mark.parametrize("name", sorted(LISTS - {"positions"}))
def test_zero_is_no_length(name):
    assert "0 is not possible" in refused(**{name: (0, 4)})


def test_a_list_out_of_order_is_offered_in_order():
    assert refused(lengths=(100, 50, 100)).endswith("give --lengths 50,100.")


def test_values_that_cannot_be_together():
    assert refused(token_count=5).startswith("--encoded 2,5,10,15,20: only 5 tokens are made (--tokens 5)")
    assert refused(retrieval_length=9).startswith("--positions 0,3,7,10,14: the sequence ends at position 8")
    assert "more than 20,000,000" in refused(lengths=(1_000_000,), input_size=1024)


def test_every_constant_has_a_unit():
    assert UNITS.keys() == OPTIONS.keys()
