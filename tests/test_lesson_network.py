"""The kata's network as a layer has the kata's states, whatever the random state is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqscale.kata.constants import KataConstants
from seqscale.kata.network import build, initial_state, rnn_step, wave
from seqscale.lessons.bench import KATA_NETWORK, looked_at
from seqscale.lessons.constants import LessonConstants
from seqscale.lessons.network import kata_network


@given(st.integers(1, 6), st.integers(0, 6), st.integers(0, 99), st.integers(0, 99), st.integers(1, 20))
@settings(deadline=None, max_examples=25)
def test_it_has_the_katas_states(width, more, seed_h, seed_x, length):
    constants = KataConstants(input_size=width, hidden_size=width + more, seed_h=seed_h, seed_x=seed_x)
    layer = kata_network(width, hidden=width + more, seed_h=seed_h, seed_x=seed_x, scale_h=0.2, scale_x=0.3).double()
    network, inputs = build(constants), wave(length, width)
    h = initial_state(network)
    for x in inputs:
        h = rnn_step(network, h, x)
    with torch.no_grad():
        _, (state,) = layer(torch.from_numpy(inputs)[None])
    # the weights went through float32, as in every layer
    np.testing.assert_allclose(state[0].numpy(), h, atol=1e-5)


def test_a_lesson_gives_it_the_constants_that_were_asked_for():
    constants = LessonConstants.of(2, {"hidden_size": 12, "seed_h": 7, "scale_x": 0.9})
    (looked,) = looked_at(constants, (KATA_NETWORK,))
    layer = kata_network(constants.kata.input_size, **dict(looked.options))
    expected = build(constants.kata)
    w_x, w_h, b_x, b_h = (part.detach().numpy() for part in layer.core.all_weights[0])
    for found, known in ((w_x, expected.w_x), (w_h, expected.w_h), (b_x + b_h, expected.bias)):
        np.testing.assert_allclose(found, known, rtol=1e-6)


def test_other_layers_get_the_katas_sizes_where_they_have_such_an_option():
    looked = {one.label: dict(one.options) for one in looked_at(LessonConstants(), ("gru", "attention"))}
    assert looked == {"gru": {"hidden": 16}, "attention": {}}


@pytest.mark.parametrize("name", ["gru/reference", "lru/scan"])
def test_an_algorithm_that_was_named_is_used(name):
    (looked,) = looked_at(LessonConstants(layer=(name,)), ("elman",))
    assert f"{looked.spec.name}/{looked.algorithm}" == name
