"""Truncation: the law of windows with reset, a ring that carries past every window, gradients cut by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from information_cells import Found, cell

from seqscale.errors import UnsupportedError
from seqscale.layers.adapt import segment
from seqscale.probes import truncation
from seqscale.probes.base import silent
from seqscale.probes.trained import Plan
from seqscale.probes.windows import TruncatedSteps, Windows, truncated_gradients
from seqscale.tasks.delay import DelayLine
from seqscale.tasks.seeds import TEST, TRAIN, VALIDATION, stream
from seqscale.theory.memory import cyclic_staircase

N, LAWFUL = 8, 0.02


@pytest.fixture(autouse=True)
def smaller(monkeypatch):
    monkeypatch.setattr(truncation, "FITTED", 60)
    monkeypatch.setattr(truncation, "HELD_OUT", 200)
    monkeypatch.setattr(truncation, "STREAMS", 64)


def asked(layer, length, width, options=(), dtype="float32", **given):
    conditions = {"replicates": 2, "sequences": 32, "boundary": "reset", "trained": "readout"} | given
    return cell("truncation", layer, length, width, options, conditions, dtype=dtype)


def windows_of(*given, **named):
    plan = Plan.of(asked(*given, **named))
    return Windows(plan, plan.layers())


def fitted(*given, **named):
    return truncation.fitted(windows_of(*given, **named)).values["r2"]


def least(lag, window):
    return (-(-lag // window) + 1) * window


@pytest.mark.parametrize("layer", ["cyclic", "orthogonal"])
@settings(max_examples=4, deadline=None)
@given(lag=st.integers(0, N), window=st.integers(1, N))
@example(lag=3, window=N)
@example(lag=5, window=5)
@example(lag=0, window=1)
@example(lag=7, window=8)
def test_with_reset_a_readout_finds_the_share_of_targets_whose_source_is_in_the_window(layer, lag, window):
    tokens = least(lag, window) + 3 * window
    with pytest.MonkeyPatch.context() as patch:
        # a short stream scores few tokens
        patch.setattr(truncation, "FITTED", max(60, 3000 // tokens))
        patch.setattr(truncation, "HELD_OUT", max(200, 15_000 // tokens))
        for r2 in fitted(layer, tokens, N, {"radius": 0.95}, lag=lag, window=window):
            assert r2 == pytest.approx(max(0.0, 1 - lag / window), abs=LAWFUL)


def test_where_the_state_has_too_few_numbers_for_the_window_that_share_is_an_upper_bound():
    for r2 in fitted("cyclic", 128, 32, {"radius": 0.95}, lag=40, window=64):
        assert -LAWFUL < r2 < 0.04 < 1 - 40 / 64


@pytest.mark.parametrize("window", [1, 4])
def test_a_state_that_is_carried_holds_what_lies_far_before_the_window(window):
    for r2 in fitted("cyclic", N + 4, N, {"radius": 0.95}, boundary="carry", lag=4, window=window):
        assert r2 > 1 - LAWFUL  # of the first N + L tokens a ring holds each alone


def test_read_for_long_a_ring_that_is_carried_holds_what_its_closed_form_says():
    (share, *_) = cyclic_staircase(N, 0.95, 1)
    for r2 in fitted("cyclic", 400, N, {"radius": 0.95}, boundary="carry", lag=4, window=4):
        assert r2 == pytest.approx(share, abs=LAWFUL)


@pytest.mark.parametrize("boundary", ["carry", "reset"])
@pytest.mark.parametrize("layer", ["gru", "lru", "elman"])
def test_r2_is_that_of_least_squares_on_states_read_window_by_window(monkeypatch, layer, boundary):
    monkeypatch.setattr(truncation, "FITTED", 12)
    monkeypatch.setattr(truncation, "HELD_OUT", 9)
    lag, window, tokens, scale = 2, 3, 11, 0.5
    given = windows_of(layer, tokens, 4, lag=lag, window=window, boundary=boundary, scale=scale, dtype="float64")
    for r, (built, r2) in enumerate(zip(given.plan.layers(), truncation.fitted(given).values["r2"], strict=True)):
        u = DelayLine(tokens=tokens, lag=lag).draw(21, stream(0, r, TEST)).inputs[:, :, 0].astype(float)
        rows = []
        for one in u:
            x = torch.zeros(1, tokens, 4, dtype=torch.float64)
            x[0, :, 0] = scale * torch.as_tensor(one)
            state, read = None, []
            for t in range(9):  # the last two tokens fill no window
                y, state = segment(built.module, x[:, t : t + 1], None if boundary == "reset" and t % 3 == 0 else state)
                read.append((*y[0, 0].tolist(), 1.0, one[t - lag]))
            rows.append(read[3:])  # the first window holds the sources of the lag
        seen = np.array(rows)
        fit, held = seen[:12].reshape(-1, 6), seen[12:].reshape(-1, 6)
        weights, *_ = np.linalg.lstsq(fit[:, :5], fit[:, 5])
        error = held[:, 5] - held[:, :5] @ weights
        assert r2 == pytest.approx(1 - np.mean(error**2) / held[:, 5].var(ddof=1), abs=1e-6)


@pytest.mark.parametrize("boundary", ["carry", "reset"])
@pytest.mark.parametrize("layer", ["gru", "lstm", "lru", "attention"])
def test_gradients_are_cut_as_they_are_by_hand(layer, boundary):
    lag, window, tokens = 1, 3, 7
    given = windows_of(layer, tokens, 4, lag=lag, window=window, boundary=boundary, dtype="float64")
    cosine, ratio = truncated_gradients(given)
    rows = given.models.start(1)
    for r, built in enumerate(given.plan.layers()):
        drawn = DelayLine(tokens=tokens, lag=lag).draw(32, stream(0, r, TEST))
        x = torch.zeros(32, tokens, 4, dtype=torch.float64)
        x[:, :, :1] = torch.as_tensor(drawn.inputs)
        readout, bias = rows[r, 4:8], rows[r, 8]  # after the input map of 4 numbers
        whole, _ = segment(built.module, x, None)
        with torch.no_grad():
            _, state = segment(built.module, x[:, :-window], None)
        late, _ = segment(built.module, x[:, -window:], state if boundary == "carry" else None)
        found = []
        for y in (whole, late):
            loss = (y[:, -1] @ readout + bias - torch.as_tensor(drawn.answers[:, -1])).square().mean()
            found.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(built.module.parameters()))]))
        full, cut = found
        assert cosine[r] == pytest.approx(float(full @ cut / (full.norm() * cut.norm())), abs=1e-9)
        assert ratio[r] == pytest.approx(float(cut.norm() / full.norm()), rel=1e-9)


def test_a_longer_window_loses_less_of_the_gradient_and_keeps_more_bytes():
    found = [
        Found(asked("elman-orthogonal", 12, 8, boundary="carry", lag=0, window=k, dtype="float64")) for k in (1, 3, 12)
    ]
    cosine, ratio, saved = (
        [f.values(name) for f in found] for name in ("gradient_cosine", "gradient_ratio", "saved_bytes")
    )
    for replicate in zip(*cosine, strict=True):
        assert replicate == tuple(sorted(replicate)) and replicate[0] < 0.99
    assert [*cosine[-1], *ratio[-1]] == pytest.approx([1] * 4, abs=1e-12)
    assert saved[0] < saved[1] < saved[2] and saved[1][0] * 3 <= saved[2][0]


@pytest.mark.parametrize("boundary", ["carry", "reset"])
def test_a_step_is_a_window_of_a_stream_and_streams_follow_each_other(boundary):
    lag, window, tokens = 2, 3, 10
    given = windows_of("gru", tokens, 4, lag=lag, window=window, boundary=boundary, dtype="float64", sequences=5)
    rows, steps = given.models.start(2).requires_grad_(), TruncatedSteps(given)
    for step in range(5):
        inputs, _ = given.streams(5, TRAIN, step // 2)  # of three windows the first is not scored
        x, first = given.models.embed(rows, inputs), (1 + step % 2) * window
        with torch.no_grad():
            _, state = given.models.carry(rows, x[:, :, :first], None)
        late = x[:, :, first : first + window]
        y, _ = given.models.carry(rows, late, state if boundary == "carry" else None)
        sources = inputs[:, :, first - lag : first - lag + window].repeat_interleave(2, dim=0)
        by_hand = (given.models.read(rows, y) - sources).square().mean((1, 2, 3))
        loss = steps(rows, step)
        torch.testing.assert_close(loss, by_hand)
        torch.testing.assert_close(*(torch.autograd.grad(part.sum(), rows)[0] for part in (loss, by_hand)))


@pytest.mark.parametrize(("lag", "low", "high"), [(1, 0.5, 0.77), (4, -0.2, 0.02)])
def test_trained_all_learns_what_lies_within_the_window_and_nothing_else(lag, low, high):
    given = {"trained": "all", "steps": 80, "rates": "0.003,0.03"}
    found = Found(asked("elman-orthogonal", 12, 8, lag=lag, window=4, **given))
    assert all(low < r2 < high for r2 in found.values("r2"))
    assert set(found.values("learning_rate")) <= {0.003, 0.03}
    assert found.curves["r2 by rate"].x == (0.003, 0.03)


def test_the_rate_is_chosen_on_validation_and_scored_on_test(monkeypatch):
    table = {VALIDATION: np.array([0.9, 0.1, 0.2, 0.8]), TEST: np.array([0.3, 0.6, 0.7, 0.4])}
    monkeypatch.setattr(truncation, "r2_of", lambda windows, rows, use: table[use])
    given = windows_of("cyclic", 6, 4, lag=1, window=2, trained="all", steps=1, rates="0.001,0.01")
    found = truncation.all_trained(given, silent)
    assert found.values == {"r2": [0.3, 0.4], "learning_rate": [0.001, 0.01]}


def test_the_document_says_what_was_scored_and_where_there_is_a_ceiling():
    reset = Found(asked("cyclic", 11, 4, lag=2, window=3, trained="all", steps=1, rates="0.001"))
    carry = Found(asked("cyclic", 11, 4, lag=2, window=3, boundary="carry"))
    assert reset.curves["ceiling"].exact and reset.curves["ceiling"].values == ((pytest.approx(1 / 3),),)
    assert "ceiling" not in carry.curves
    for found in (reset, carry):
        assert (found.facts["tokens scored"], found.facts["tokens read before"]) == (6, 3)
    assert (reset.facts["validation"], reset.facts["test"]) == (64, 64)
    assert (carry.facts["streams fitted to"], carry.facts["streams scored on"]) == (60, 200)


@pytest.mark.parametrize(
    ("layer", "words"),
    [("Stateless", "takes no state, so none can be carried over"), ("Opaque", "it holds a Kept, not tensors")],
)
def test_a_layer_that_cannot_carry_is_told_to_be_reset(layer, words):
    given = {"lag": 1, "window": 2, "trained": "all", "steps": 3, "rates": "0.001"}
    with pytest.raises(UnsupportedError, match=words):
        Found(asked(layer, 6, 4, boundary="carry", **given))
    assert len(Found(asked(layer, 6, 4, **given)).values("r2")) == 2


def test_a_layer_that_learns_nothing_has_no_gradient_to_compare_and_the_note_says_so():
    found = Found(asked("Last", 6, 4, lag=0, window=2))
    assert found.values("r2") == pytest.approx([1, 1])
    assert not found.values("gradient_cosine") and not found.values("gradient_ratio")
    assert found.note == "gradient_cosine: a gradient by the layer's own parameters is zero"
