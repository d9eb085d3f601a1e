"""What the probes that train share: data of their own for each use, rates chosen on validation, divergence told."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from information_cells import cell

from seqscale.errors import SeqscaleError, UnsupportedError
from seqscale.probes import trained
from seqscale.probes.base import silent
from seqscale.probes.trained import Plan, Scored, at, best_rates, by_rate, cost, picked, score, train_on
from seqscale.tasks.adding import Adding
from seqscale.tasks.copying import Copy
from seqscale.tasks.seeds import TEST, TRAIN, VALIDATION, stream
from seqscale.tasks.tokens import TokenStream
from seqscale.training.loop import Trained

TASK = Copy(memorised=2, symbols=3)


def plan_of(layer="cyclic", dtype="float32", **given):
    conditions = {"replicates": 2, "sequences": 6, "steps": 3, "rates": "0.01,0.001"} | given
    return Plan.of(cell("copy-memory", layer, 5, 4, conditions={"memorised": 2} | conditions, dtype=dtype))


def models_of(plan, task=TASK):
    return plan.models(plan.layers(), features=task.features, seen=4, answers=task.outputs)


def test_a_plan_has_each_rate_once_rising_and_no_dtype_that_loses_small_updates():
    assert plan_of(rates="0.1,0.001,0.1").rates == (0.001, 0.1)
    with pytest.raises(UnsupportedError, match="trained in float32 or float64"):
        plan_of(dtype="bfloat16")


def test_every_use_of_every_replicate_has_a_stream_of_its_own():
    plan, task = plan_of(replicates=3), TokenStream(tokens=40, symbols=8)
    seen = set()
    for use, step in ((TRAIN, 0), (TRAIN, 1), (TRAIN, 2), (VALIDATION, 0), (TEST, 0)):
        drawn = plan.draw(task, 5, use, step)
        for r in range(3):
            alone = task.draw(5, stream(0, r, use, step))
            for name in ("inputs", "positions", "answers", "distances"):
                np.testing.assert_array_equal(getattr(drawn, name)[r], getattr(alone, name))
        seen |= {tuple(row) for row in drawn.answers.reshape(-1, 40)}
    assert len(seen) == 5 * 3 * 5  # of 8^40 sequences none comes twice


def test_replicates_have_weights_of_their_own_and_the_same_again():
    one, again = (models_of(plan_of("gru")).start(1) for _ in range(2))
    assert torch.equal(one, again)
    assert (one[0] != one[1]).all()


@pytest.mark.parametrize("task", [TASK, Adding(tokens=5)], ids=["classes", "numbers"])
def test_answers_are_read_where_they_are_asked_for_and_cost_what_they_should(task):
    plan = plan_of(dtype="float64")
    models, drawn = models_of(plan, task), plan.draw(task, 3, TEST)
    rows = models.start(2)
    features, positions, right = map(plan.tensor, (drawn.inputs, drawn.positions, drawn.answers))
    y = models.run(rows, models.embed(rows, features))
    given = picked(models, rows, features, positions)
    costs, seen = cost(given, right), at(y, positions)
    for m, n, a in np.ndindex(costs.shape):
        place = int(positions[m // 2, n, a])
        assert torch.equal(seen[m, n, a], y[m, n, place])
        said, wanted = given[m, n, a].tolist(), float(drawn.answers[m // 2, n, a])
        surprise = np.log(np.exp(said).sum()) - said[int(wanted)] if task is TASK else (said[0] - wanted) ** 2
        assert float(costs[m, n, a]) == pytest.approx(surprise)


def test_all_sequences_of_a_use_are_scored_in_batches_of_a_step(monkeypatch):
    monkeypatch.setitem(trained.SCORED, TEST, 20)  # 6 + 6 + 6 + 2
    plan = plan_of()
    models, asked = models_of(plan), plan.draw(TASK, 20, TEST)
    rows = models.start(2)
    scored = score(plan, TASK, models, rows, picked, TEST)
    said = picked(models, rows, plan.tensor(asked.inputs), plan.tensor(asked.positions)).argmax(-1)
    np.testing.assert_array_equal(scored.given, said)
    np.testing.assert_array_equal(scored.right, said.numpy() == np.repeat(asked.answers, 2, axis=0))
    assert scored.losses.shape == (4, 20, 2)


def test_the_rate_is_chosen_on_validation_and_nothing_scored_is_trained_on(monkeypatch):
    losses = {VALIDATION: [0.1, 0.9, 0.8, 0.2], TEST: [0.9, 0.1, 0.2, 0.8]}
    drawn = []

    def scored(plan, task, models, rows, answer, use):
        asked = plan.draw(task, 2, use)
        return Scored(asked, np.zeros((4, 2, 2), int), np.array(losses[use])[:, None, None] * np.ones((4, 2, 2)))

    def draws(self, task, sequences, use, step=0, draw=Plan.draw):
        drawn.append((use, step))
        return draw(self, task, sequences, use, step)

    monkeypatch.setattr(trained, "score", scored)
    monkeypatch.setattr(Plan, "draw", draws)
    plan = plan_of()
    result = train_on(plan, TASK, models_of(plan), picked, silent)
    assert drawn == [(TRAIN, 0), (TRAIN, 1), (TRAIN, 2), (VALIDATION, 0), (TEST, 0)]
    assert result.rates() == [0.001, 0.01]
    assert result.of_best(np.arange(4)).tolist() == [0, 3]
    assert torch.equal(result.best_rows(), result.trained.rows[[0, 3]])
    (curve,) = result.by_rate("loss", "loss", result.test.losses.mean((1, 2)))
    assert (curve.x, curve.values) == ((0.001, 0.01), ((0.9, 0.2), (0.1, 0.8)))


def diverged(*steps):
    return Trained(torch.zeros(4, 1), np.zeros((3, 4)), np.array(steps))


def test_a_rate_that_diverged_is_never_the_best_and_is_listed():
    plan, bad = plan_of(), np.nan
    left = diverged(3, 1, 2, 3)
    assert best_rates(plan, left, np.array([5.0, bad, np.inf, 7.0])).tolist() == [0, 1]
    assert plan.facts(models_of(plan), left)["diverged"] == [
        {"replicate": 0, "learning rate": 0.01, "step": 1},
        {"replicate": 1, "learning rate": 0.001, "step": 2},
    ]
    assert by_rate(plan, "loss", "loss", np.array([5.0, bad, bad, 7.0])) == []
    (curve,) = by_rate(plan, "loss", "loss", np.array([5.0, bad, 6.0, 7.0]))
    assert (curve.x, curve.values) == ((0.001,), ((5.0, 6.0),))


def test_a_replicate_that_diverged_at_every_rate_fails_the_cell_and_says_where():
    cause = r"^training diverged at every learning rate: 0.001 at step 2, 0.01 at step 0 \(replicate 1\)\.$"
    with pytest.raises(SeqscaleError, match=cause):
        best_rates(plan_of(), diverged(3, 3, 2, 0), np.array([1.0, 2.0, np.nan, np.inf]))
