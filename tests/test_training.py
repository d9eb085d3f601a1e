"""Training as a whole: any layer of a user is trained, one model's fate is its own, twice the same; huge gradients."""

from __future__ import annotations

import warnings

import pytest
import torch
from test_training_models import STEPS, R, drawn, losses_of, models_of, trained_alone
from torch import nn

from seqscale.layers.catalogue import LAYERS
from seqscale.probes.base import silent
from seqscale.training.loop import train

FEW = 6  # steps, where each of the catalogue's layers takes them


class Own(nn.Linear):
    """Maps each token by itself."""

    def __init__(self, width):
        super().__init__(width, width)


class Refuses(Own):
    """Must know a number, and says in its own words that it cannot, which it can in one model after another."""

    def forward(self, x):
        try:
            largest = float(x.detach().abs().max())
        except RuntimeError as error:
            raise TypeError("x holds no numbers") from error
        return super().forward(x) / max(1.0, largest)


class Asserts(Refuses):
    """The same by an assertion."""

    def forward(self, x):
        try:
            return super().forward(x)
        except TypeError as error:
            raise AssertionError from error


class Deprecated(Own):
    """Calls something that will not be there for ever."""

    def forward(self, x):
        warnings.warn("use another", DeprecationWarning, stacklevel=1)
        return super().forward(x)


class Promised(Own):
    """Calls something that will behave otherwise."""

    def forward(self, x):
        warnings.warn("will change", FutureWarning, stacklevel=1)
        return super().forward(x)


class Warns(Own):
    """Warns as torch does where it cannot batch."""

    def forward(self, x):
        warnings.warn("slow", UserWarning, stacklevel=1)
        return super().forward(x)


def trained(layer, rates, steps):
    """Train a model of each draw at each rate; return the models, and what training left."""
    models = models_of(layer)
    given = torch.tensor(rates * R, dtype=torch.float64)
    return models, train(models.start(len(rates)), given, losses_of(models), steps, silent)


@pytest.mark.filterwarnings("ignore:use another", "ignore:will change", "ignore:slow")
@pytest.mark.parametrize("layer", [Refuses, Asserts, Warns, Deprecated, Promised])
def test_a_layer_of_a_user_is_trained_as_if_alone_whatever_it_says_to_many_models(layer):
    models, left = trained(layer, [0.1], STEPS)
    assert models.together == (layer in (Deprecated, Promised))
    for draw, (row, start) in enumerate(zip(left.rows, models.start(1), strict=True)):
        alone = trained_alone(drawn(layer)[draw], start, 0.1, draw)
        torch.testing.assert_close(row, alone, rtol=1e-6, atol=1e-6)
        assert (row - start).abs().max() > 0.1


@pytest.mark.parametrize("layer", LAYERS)
def test_a_rate_at_which_a_layer_diverges_leaves_the_others_bit_by_bit(layer):
    (_, calm), (_, wild) = (trained(layer, [0.01, rate, 0.02], FEW) for rate in (0.01, 1e200))
    others = [0, 2, 3, 5]
    assert (wild.diverged[[1, 4]] < FEW).all() and (wild.diverged[others] == FEW).all()
    assert torch.equal(calm.rows[others], wild.rows[others])  # so that two equal runs are equal, too
    assert (calm.losses[:, others] == wild.losses[:, others]).all()


@pytest.mark.parametrize(("size", "dtype"), [(1e20, torch.float32), (1e36, torch.float32), (1e200, torch.float64)])
def test_a_gradient_whose_square_overflows_is_cut_to_length_1_as_well(size, dtype):
    slopes = torch.tensor([[3.0, -1.0, 2.0], [0.1, 0.2, 0.1]], dtype=dtype)  # the second is not cut

    def after(factor):
        # slopes that differ from step to step, or else Adam would not tell a gradient from its cut
        def losses(rows, step):
            steep = (rows[0] * slopes[0] * (factor if step else 0.1)).sum()
            return torch.stack((steep, (rows[1] * slopes[1]).sum()))

        return train(torch.zeros(2, 3, dtype=dtype), torch.full((2,), 0.1, dtype=dtype), losses, FEW, silent)

    huge, large = after(size), after(1e3)
    assert (huge.diverged == FEW).all()
    torch.testing.assert_close(huge.rows, large.rows)
