"""What a study asks: what is dear only where it is named."""

from __future__ import annotations

import pytest

from seqscale.layers.catalogue import LAYERS
from seqscale.request import resolve
from seqscale.studies.base import questions
from seqscale.studies.catalogue import FULL, QUICK, STUDIES

DEAR = ("time.linear-forward", "memory.bptt-linear")


def asked(study, *layers):
    return {(q.layer.name, q.algorithm) for q in questions(study, resolve(layers=layers, claims=DEAR))}


def test_quick_leaves_out_what_full_asks():
    assert asked(QUICK) == {
        (name, algorithm)
        for name in QUICK.costed
        for algorithm in LAYERS[name].algorithms
        if algorithm not in QUICK.unasked
    }
    assert ("gru", "fused") not in asked(QUICK) and not {name for name, _ in asked(QUICK)} >= {*LAYERS}
    assert asked(FULL) == {(name, algorithm) for name, spec in LAYERS.items() for algorithm in spec.algorithms}


@pytest.mark.parametrize("study", [QUICK, FULL], ids=lambda study: study.name)
@pytest.mark.parametrize("layer", [name for name in LAYERS if name not in QUICK.costed] + ["gru"])
def test_a_layer_that_is_named_is_asked_by_every_algorithm(study, layer):
    assert asked(study, layer) >= {(layer, algorithm) for algorithm in LAYERS[layer].algorithms}


def test_a_layer_may_be_left_out_of_every_claim_until_it_is_named():
    def layers(study, *named):
        return {q.layer.name for q in questions(study, resolve(layers=named))}

    assert {*LAYERS} - layers(QUICK) == {*QUICK.unasked_layers} == {"selective"}
    assert not {*LAYERS} - layers(FULL)
    assert layers(QUICK, "selective") >= {"selective"}


@pytest.mark.parametrize("study", STUDIES.values(), ids=lambda study: study.name)
def test_what_is_left_out_exists(study):
    assert {*study.costed, *study.unasked_layers} <= {*LAYERS}
    assert {*study.unasked} <= {name for spec in LAYERS.values() for name in spec.algorithms}
