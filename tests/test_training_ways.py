"""Models train by the fused kernels on a CPU alone, and learn there what they learn by a loop over steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seqscale.layers.build import build
from seqscale.layers.catalogue import LAYERS
from seqscale.training.loop import train
from seqscale.training.models import Models
from seqscale.training.ways import way_of

WIDTH, STEPS = 6, 12
FUSED = [name for name in LAYERS if way_of(name, "reference", "cpu").algorithm == "fused"]


@pytest.mark.parametrize("layer", LAYERS)
def test_a_way_names_an_algorithm_that_its_layer_has(layer):
    for device in ("cpu", "cuda"):
        assert way_of(layer, LAYERS[layer].algorithms[0], device).algorithm in LAYERS[layer].algorithms
    assert way_of(layer, LAYERS[layer].algorithms[0], "cuda").algorithm != "fused"


def test_layers_with_a_kernel_train_by_it_on_a_cpu_but_the_lstm_which_gains_nothing():
    assert set(FUSED) == {name for name, layer in LAYERS.items() if "fused" in layer.algorithms} - {"lstm"}


def trained(layer: str, algorithm: str) -> tuple[np.ndarray, bool]:
    """Return the losses of two models of two draws each."""
    spec = LAYERS[layer]
    layers = [build(spec.target, spec.family, WIDTH, {}, algorithm, "float64", "cpu", seed).module for seed in (0, 1)]
    models = Models(
        layers, width=WIDTH, features=3, seen=WIDTH, answers=2, rngs=[np.random.default_rng(s) for s in (0, 1)],
        together=True, like=torch.zeros(1, dtype=torch.float64),
    )  # fmt: skip
    features = torch.as_tensor(np.random.default_rng(2).standard_normal((2, 5, 9, 3)))

    def losses(rows: torch.Tensor, step: int) -> torch.Tensor:
        return models.read(rows, models.run(rows, models.embed(rows, features))).square().mean((1, 2, 3))

    rates = torch.tensor([0.01, 0.03] * 2, dtype=torch.float64)
    return train(models.start(2), rates, losses, STEPS, lambda words: None).losses, models.together


@pytest.mark.parametrize("layer", FUSED)
def test_what_is_learned_does_not_depend_on_the_kernel(layer):
    (fused, together), (loop, _) = trained(layer, "fused"), trained(layer, "reference")
    assert together
    assert (loop[-1] < loop[0]).all()
    np.testing.assert_allclose(fused, loop, rtol=1e-9)
