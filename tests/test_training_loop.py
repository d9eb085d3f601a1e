"""The loop is Adam with clipped gradients and a schedule for each model alone; divergence stays where it is; told."""

from __future__ import annotations

import math
import types

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqscale.probes.base import silent
from seqscale.training import loop
from seqscale.training.loop import schedule, train

P = 5  # parameters of a model


def start(models, seed=0):
    return torch.as_tensor(np.random.default_rng(seed).standard_normal((models, P)))


def bumpy(rows, step):
    """A loss with many slopes whose size changes from step to step, so that some gradients are cut and some not."""
    target = torch.arange(P, dtype=rows.dtype) / P
    return 10.0 ** (step % 3 - 1) * ((rows - target).square() + torch.sin(3 * rows)).sum(dim=1)


def by_torch(row, rate, losses, steps):
    """Train one model by torch's own optimiser and scheduler, its gradient cut by hand."""
    row = row.clone().requires_grad_()
    adam = torch.optim.Adam([row], lr=rate)
    rates = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: schedule(step, steps))
    for step in range(steps):
        adam.zero_grad()
        losses(row[None], step).sum().backward()
        length = float(row.grad.norm())
        if length > 1:
            row.grad /= length
        adam.step()
        rates.step()
    return row.detach()


@settings(max_examples=6, deadline=None)
@given(rates=st.lists(st.floats(1e-4, 1.0), min_size=1, max_size=4), steps=st.integers(1, 20), seed=st.integers(0, 99))
def test_every_model_is_trained_as_torch_trains_it_alone(rates, steps, seed):
    rows, given_rates = start(len(rates), seed), torch.tensor(rates, dtype=torch.float64)
    before = rows.clone()
    trained = train(rows, given_rates, bumpy, steps, silent)
    alone = torch.stack([by_torch(row, rate, bumpy, steps) for row, rate in zip(rows, rates, strict=True)])
    torch.testing.assert_close(trained.rows, alone, rtol=1e-8, atol=1e-8)
    assert torch.equal(rows, before) and trained.losses.shape == (steps, len(rates))
    assert trained.losses[0] == pytest.approx(bumpy(rows, 0).numpy())
    assert (trained.diverged >= steps).all()


def test_a_gradient_is_cut_to_length_1_in_each_model_by_itself():
    """After one step what Adam keeps shows the gradient; the second step is as far as its direction and it allow."""

    def losses(rows, step):
        return rows[:, 0] * torch.tensor([1e6, 0.5] if step == 0 else [0.5, 0.5])

    trained = train(torch.zeros(2, 1), torch.tensor([0.1, 0.1]), losses, 2, silent)
    for m, first in enumerate((1.0, 0.5)):
        mean = (0.9 * 0.1 * first + 0.1 * 0.5) / (1 - 0.9**2)
        square = (0.999 * 0.001 * first**2 + 0.001 * 0.25) / (1 - 0.999**2)
        moved = 0.1 * schedule(0, 2) + 0.1 * schedule(1, 2) * mean / math.sqrt(square)
        assert float(trained.rows[m, 0]) == pytest.approx(-moved, rel=1e-4)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_in_one_model_poisons_nobody(bad):
    def losses(rows, step):
        factor = torch.ones(3, dtype=rows.dtype)
        if step >= 7:
            factor[1] = bad
        return bumpy(rows, step) * factor

    rates = torch.full((3,), 0.05, dtype=torch.float64)
    poisoned, whole = (train(start(3), rates, f, 20, silent) for f in (losses, bumpy))
    assert poisoned.diverged.tolist()[1] == 7 and (poisoned.diverged[[0, 2]] >= 20).all()
    assert not poisoned.rows[1].isfinite().all()
    assert torch.equal(poisoned.rows[[0, 2]], whole.rows[[0, 2]])
    np.testing.assert_array_equal(poisoned.losses[:, [0, 2]], whole.losses[:, [0, 2]])


def test_a_rate_at_which_a_model_diverges_leaves_the_others_bit_by_bit():
    def losses(rows, step):
        return torch.exp(rows.square().sum(dim=1))

    rates = [torch.tensor([0.01, rate, 0.02], dtype=torch.float64) for rate in (0.01, 1e3)]
    calm, wild = (train(start(3), given_rates, losses, 20, silent) for given_rates in rates)
    assert wild.diverged[1] == 1 and not math.isfinite(wild.losses[1, 1])
    assert torch.equal(calm.rows[[0, 2]], wild.rows[[0, 2]])


def test_parameters_that_the_last_step_made_infinite_are_a_divergence():
    def losses(rows, step):  # a root has no slope at 0 to go by
        return (rows * 0).sum(dim=1).sqrt() if step == 4 else rows.sum(dim=1)

    trained = train(start(1), torch.ones(1, dtype=torch.float64), losses, 5, silent)
    assert np.isfinite(trained.losses).all() and not trained.rows.isfinite().any()
    assert trained.diverged.tolist() == [4]


@given(steps=st.integers(1, 500))
def test_the_rate_rises_in_a_line_and_falls_as_half_a_cosine(steps):
    shares = [schedule(step, steps) for step in range(steps)]
    rise = max(1, round(0.05 * steps))
    assert shares[:rise] == pytest.approx([(i + 1) / rise for i in range(rise)])
    rest = shares[rise:]
    assert rest == pytest.approx([math.cos(math.pi / 2 * i / len(rest)) ** 2 for i in range(len(rest))])
    assert max(shares) == 1 and min(shares) > 0


class Clock(types.SimpleNamespace):
    """A clock that goes on by 0.4 s whenever it is looked at."""

    now = 0.0

    def monotonic(self):
        self.now += 0.4
        return self.now


def heard(monkeypatch, losses, steps=20):
    monkeypatch.setattr(loop, "time", Clock())
    said = []
    trained = train(start(2), torch.full((2,), 0.1, dtype=torch.float64), losses, steps, said.append)
    return said, trained


def test_progress_is_told_once_a_second_with_the_least_loss(monkeypatch):
    said, trained = heard(monkeypatch, lambda rows, step: bumpy(rows, step) * torch.tensor([math.nan, 1.0]))
    assert 4 <= len(said) <= 10
    steps = [int(text.split()[1]) for text in said]
    assert said == [f"step {step} of 20, loss {trained.losses[step, 1]:.3g}" for step in steps]


def test_progress_is_told_too_where_all_have_diverged(monkeypatch):
    said, _ = heard(monkeypatch, lambda rows, step: bumpy(rows, step) * math.nan)
    assert said and all(text.endswith(", no finite loss") for text in said)
