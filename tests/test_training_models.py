"""Many models in one matrix are what as many plain modules are, one after another, for every layer at its way."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from catalogue import OPTIONS
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils._pytree import tree_leaves, tree_map

from seqscale.errors import UnsupportedError
from seqscale.layers.adapt import outputs
from seqscale.layers.build import build
from seqscale.layers.catalogue import LAYERS
from seqscale.probes.base import silent
from seqscale.training.loop import schedule, train
from seqscale.training.models import Models
from seqscale.training.ways import way_of

R, C, D, ANSWERS, B, T = 2, 3, 4, 2, 3, 5
RATES = (0.003, 0.1)
STEPS = 20
LIKE = torch.zeros(0, dtype=torch.float64)

every_layer = pytest.mark.parametrize("layer", LAYERS)


class Branches(nn.Linear):
    """Asks its numbers what to do, which torch.func.vmap refuses; holds a buffer and a frozen parameter."""

    def __init__(self, width):
        super().__init__(width, width)
        self.register_buffer("scale", torch.rand(1))
        self.frozen = nn.Parameter(torch.rand(width), requires_grad=False)

    def forward(self, x):
        return self.scale * super().forward(x) + self.frozen * (1 if float(x.detach().sum()) > 0 else -1)


class Counts(nn.Linear):
    """Carries a sum and a whole number that is no tensor, which vmap takes for no output."""

    def forward(self, x, state=None):
        before, count = (x.new_zeros(len(x), x.shape[-1]), 0) if state is None else state
        sums = before[:, None] + super().forward(x).cumsum(1)
        return torch.tanh(sums), (sums[:, -1], count + x.shape[1])


class Unregistered(nn.Linear):
    """Has drawn numbers that torch does not know of, so that every model needs its own module."""

    def __init__(self, width):
        super().__init__(width, width)
        self.drawn = torch.rand(width, dtype=torch.float64)

    def forward(self, x):
        return super().forward(x) * self.drawn


class Hides(nn.Linear):
    """Carries an object that nobody can look into."""

    def forward(self, x, state=None):
        return super().forward(x), Hidden(x)


class Hidden:
    def __init__(self, kept):
        self.kept = kept


OWN = (Branches, Counts, Unregistered)


def drawn(layer):
    """Return the layer of each draw, in float64: one of the catalogue by its way, or a class."""
    if isinstance(layer, str):
        spec = LAYERS[layer]
        algorithm = way_of(layer, spec.fastest or spec.algorithms[0], "cpu").algorithm
        options = OPTIONS[layer][-1]
        return [build(spec.target, spec.family, D, options, algorithm, "float64", "cpu", r).module for r in range(R)]
    made = []
    for r in range(R):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(r)
            made.append((layer(D, D) if layer in (Counts, Hides) else layer(D)).double())
    return made


def together(layer):
    if not isinstance(layer, str):
        return True
    return way_of(layer, LAYERS[layer].fastest or LAYERS[layer].algorithms[0], "cpu").together


def models_of(layer):
    rngs = [np.random.default_rng(r) for r in range(R)]
    return Models(
        drawn(layer), width=D, features=C, seen=D, answers=ANSWERS, rngs=rngs, together=together(layer), like=LIKE
    )


def batch(step):
    rng = np.random.default_rng((step, 99))
    return (torch.as_tensor(rng.standard_normal(shape)) for shape in ((R, B, T, C), (R, B, T, ANSWERS)))


def losses_of(models):
    def losses(rows, step):
        features, right = batch(step)
        said = models.read(rows, models.run(rows, models.embed(rows, features)))
        return (said - right.repeat_interleave(len(rows) // R, dim=0)).square().mean((1, 2, 3))

    return losses


class Plain(nn.Module):
    """One model as anybody would write it."""

    def __init__(self, layer, row):
        super().__init__()
        self.embedding = nn.Parameter(torch.empty(D, C, dtype=row.dtype))
        self.readout = nn.Parameter(torch.empty(ANSWERS, D, dtype=row.dtype))
        self.bias = nn.Parameter(torch.empty(ANSWERS, dtype=row.dtype))
        self.layer = copy.deepcopy(layer)
        nn.utils.vector_to_parameters(row.clone(), self.learned())  # which share its memory

    def learned(self):
        return [p for p in self.parameters() if p.requires_grad]

    def forward(self, features):
        return outputs(self.layer, features @ self.embedding.T) @ self.readout.T + self.bias


def trained_alone(layer, row, rate, draw):
    """Train one model by Adam as the paper writes it; tests/test_training_loop.py has torch's own beside it."""
    first = second = torch.zeros_like(row)
    for step in range(STEPS):
        features, right = (part[draw] for part in batch(step))
        model = Plain(layer, row)
        gradients = torch.autograd.grad((model(features) - right).square().mean(), model.learned())
        gradient = torch.cat([g.flatten() for g in gradients])
        gradient = gradient / max(1.0, float(gradient.norm()))
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        mean, square = first / (1 - 0.9 ** (step + 1)), second / (1 - 0.999 ** (step + 1))
        row = row - rate * schedule(step, STEPS) * mean / (square.sqrt() + 1e-8)
    return row


@pytest.mark.parametrize("layer", [*LAYERS, *OWN], ids=lambda layer: getattr(layer, "__name__", layer))
def test_models_trained_together_are_those_trained_one_after_another(layer):
    models, layers = models_of(layer), drawn(layer)
    start = models.start(len(RATES))
    rates = torch.tensor(RATES * R, dtype=start.dtype)
    trained = train(start, rates, losses_of(models), STEPS, silent)
    assert (trained.rows - start).abs().amax(dim=1).min() > 1e-2
    for draw, m in enumerate((len(RATES) - 1, len(RATES))):  # the last rate of the first draw, the first of the next
        alone = trained_alone(layers[draw], start[m], RATES[m % len(RATES)], draw)
        torch.testing.assert_close(trained.rows[m], alone, rtol=1e-6, atol=1e-6)


@every_layer
def test_a_layer_of_the_catalogue_is_computed_as_its_way_says(layer):
    models, spec = models_of(layer), LAYERS[layer]
    assert models.together == together(layer)
    way = way_of(layer, spec.fastest or spec.algorithms[0], "cpu")
    assert way.algorithm in spec.algorithms
    assert way.text() == f"{way.algorithm}, {'all models together' if models.together else 'one model after another'}"


def test_a_layer_that_is_not_of_the_catalogue_is_tried_together_by_its_own_algorithm():
    way = way_of("mine.py:Mine", "own", "cpu")
    assert (way.algorithm, way.together) == ("own", True)
    assert not any(models_of(own).together for own in OWN)


@every_layer
def test_copies_of_a_draw_start_equal_and_draws_differ(layer):
    rows, models, layers = models_of(layer).start(3), models_of(layer), drawn(layer)
    assert torch.equal(rows, models.start(3))
    for r in range(R):
        assert (rows[3 * r : 3 * r + 3] == rows[3 * r]).all()
        own = torch.cat([p.detach().flatten() for p in layers[r].parameters() if p.requires_grad])
        assert torch.equal(models.layer_part(rows)[3 * r], own)
    assert (rows[0, : C * D] != rows[3, : C * D]).all()


@every_layer
def test_a_model_of_nan_poisons_nobody(layer):
    models = models_of(layer)
    rows, spoilt = models.start(2), models.start(2)
    spoilt[1] = torch.nan
    found = []
    for given_rows in (rows, spoilt):
        leaf = given_rows.requires_grad_()
        losses = losses_of(models)(leaf, 0)
        found.append((losses, *torch.autograd.grad(losses.sum(), leaf)))
    others = [0, 2, 3]
    for whole, poisoned in zip(*found, strict=True):
        assert torch.equal(whole[others], poisoned[others])
    assert found[1][0][1].isnan() and found[0][0].isfinite().all()


@pytest.mark.parametrize("layer", [*LAYERS, Counts], ids=lambda layer: getattr(layer, "__name__", layer))
def test_two_segments_with_the_state_carried_are_one_pass(layer):
    models = models_of(layer)
    rows = models.start(2)
    rows += 0.01 * torch.sin(torch.arange(rows.numel(), dtype=rows.dtype)).view_as(rows)  # no two models are equal
    x = models.embed(rows, next(batch(0)))
    whole, last = models.carry(rows, x, None)
    first, state = models.carry(rows, x[:, :, :2], None)
    second, after = models.carry(rows, x[:, :, 2:], state)
    torch.testing.assert_close(torch.cat((first, second), dim=2), whole)
    torch.testing.assert_close(models.run(rows, x), whole)
    tree_map(torch.testing.assert_close, after, last)
    assert all(len(leaf) == 2 * R for leaf in tree_leaves(state) if isinstance(leaf, torch.Tensor))
    assert (models.carry(rows, x[:, :, 2:], None)[0] - second).abs().max() > 1e-3


def test_a_state_that_is_not_made_of_tensors_is_refused():
    models = models_of(Hides)
    rows = models.start(1)
    with pytest.raises(UnsupportedError, match="the state cannot be carried: it holds a Hidden, not tensors"):
        models.carry(rows, models.embed(rows, next(batch(0))), None)


@settings(max_examples=25, deadline=None)
@given(copies=st.integers(1, 3), n=st.integers(1, 3), t=st.integers(1, 4), a=st.integers(1, 3), seed=st.integers(0, 99))
def test_what_is_read_and_answered_is_what_matrices_by_hand_give(copies, n, t, a, seed):
    rng, models = np.random.default_rng(seed), SMALL
    rows = torch.as_tensor(rng.standard_normal(models.start(copies).shape))
    features, seen = (torch.as_tensor(rng.standard_normal(shape)) for shape in ((R, n, t, C), (R * copies, n, a, D)))
    x, said = models.embed(rows, features), models.read(rows, seen)
    for m, row in enumerate(rows):
        embedding, readout, bias = row[: D * C + ANSWERS * D + ANSWERS].split((D * C, ANSWERS * D, ANSWERS))
        torch.testing.assert_close(x[m], features[m // copies] @ embedding.view(D, C).T)
        torch.testing.assert_close(said[m], seen[m] @ readout.view(ANSWERS, D).T + bias)


SMALL = models_of("cyclic")


def test_an_input_map_to_start_from_is_taken_as_it_is():
    given_map = np.eye(D, C) * 3
    rngs = [np.random.default_rng(r) for r in range(R)]
    models = Models(
        drawn("cyclic"), width=D, features=C, seen=D, answers=1, rngs=rngs, together=True, like=LIKE,
        embedding=given_map,
    )  # fmt: skip
    assert (models.start(2)[:, : D * C] == torch.as_tensor(given_map).flatten()).all()
