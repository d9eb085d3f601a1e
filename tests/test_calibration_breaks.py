"""Every check of the calibration fails when the instrument that it asks is broken."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from calibration_sizes import shrink
from information_cells import Found, instrument

from seqscale.estimators.split import Split
from seqscale.probes import (
    calibration_training,
    memory_curve,
    readout,
    recall_constructed,
    segments,
    token_bits,
    truncation,
    windows,
)
from seqscale.probes.information import CHECKS
from seqscale.probes.recall_constructed import RULES
from seqscale.probes.state import Carrier
from seqscale.tasks.adding import Adding
from seqscale.tasks.copying import Copy
from seqscale.tasks.rebinding import Rebinding

BREAKS = []


def breaks(check):
    """Register a way to break the instrument of a check."""

    def register(broken):
        BREAKS.append(pytest.param(check, broken, id=f"{check}: {broken.__name__}"))
        return broken

    return register


def replaced(patch, owner, name, of_real):
    """Put in place of a function what `of_real` makes of the real one."""
    patch.setattr(owner, name, of_real(getattr(owner, name)))


def in_sample(split):
    return lambda *sequences: Split(train=(s := split(*sequences)).test, validation=s.test, test=s.test)


def with_noise_times(factor):
    return lambda read: lambda states, relative, rng: read(states, factor * relative, rng)


def one_further(decode):
    return lambda states, targets, *rest: decode(states, np.roll(targets, -1, axis=1), *rest)


@breaks("memory-curve")
def lags_off_by_one(patch):
    replaced(patch, memory_curve, "held_out_r2", one_further)


@breaks("memory-curve")
def scored_in_sample(patch):
    replaced(patch, memory_curve, "split_sequences", in_sample)


@breaks("memory-curve")
def noise_of_another_size(patch):
    replaced(patch, memory_curve, "read_out", with_noise_times(1000))


@breaks("memory-curve")
def another_input_in_the_closed_form(patch):
    replaced(patch, memory_curve, "step_matrices", lambda real: lambda c: (real(c)[0], real(c)[1][:, ::-1]))


@breaks("fisher-memory")
def jacobians_transposed(patch):
    def transposed(real):
        return lambda *given: ((pair := real(*given))[0].mT, pair[1])

    replaced(patch, Carrier, "jacobians", transposed)


@breaks("lyapunov")
def differentiated_at_rest(patch):
    replaced(patch, Carrier, "jacobians", lambda real: lambda self, h, x: real(self, 0 * h, 0 * x))


@breaks("token-bits")
def distances_off_by_one(patch):
    replaced(patch, token_bits, "decode_tokens", one_further)


@breaks("token-bits")
def label_leaked(patch):
    def leaks(real):
        return lambda states, tokens, *rest: real(np.column_stack((states, tokens[:, -1])), tokens, *rest)

    replaced(patch, token_bits, "decode_tokens", leaks)


@breaks("token-bits")
def decoded_in_sample(patch):
    replaced(patch, token_bits, "split_sequences", in_sample)


@breaks("token-bits")
def noise_added_twice(patch):
    replaced(patch, token_bits, "read_out", with_noise_times(2**0.5))


@breaks("token-bits")
def bound_of_one_bit(patch):
    patch.setattr(readout, "log_det_bits", lambda covariance, variance: 1.0)


@breaks("token-bits")
def labels_not_shuffled(patch):
    def unshuffled(states, tokens, symbols, split, rng):
        return token_bits.decode_tokens(states, tokens, symbols, split).variational.sum(), 0.0

    patch.setattr(token_bits, "shuffled_bits", unshuffled)


@breaks("token-bits")
def last_token_told_of_itself(patch):
    replaced(patch, token_bits, "leak", lambda real: lambda *given: real(*given[:-1], 0 * given[-1]))


@breaks("segments")
def state_not_swapped(patch):
    patch.setattr(Carrier, "of_others", lambda self, state, donors: state)


@breaks("segments")
def every_sequence_its_own_donor(patch):
    replaced(patch, segments, "donors", lambda real: lambda x: real(x).sort().values)


@breaks("recall-additive")
def written_by_another_rule(patch):
    patch.setitem(RULES, "linear-attention", RULES["deltanet"])


@breaks("recall-additive")
def keys_of_any_length(patch):
    def loose(trials, pairs, width, geometry, rng):
        return rng.standard_normal((trials, pairs, width)) / width**0.5

    patch.setattr(recall_constructed, "random_keys", loose)


@breaks("recall-delta")
def nothing_overwritten(patch):
    patch.setitem(RULES, "deltanet", RULES["linear-attention"])


@breaks("recall-delta")
def written_at_half_rate(patch):
    real = RULES["deltanet"]
    patch.setitem(RULES, "deltanet", lambda keys, values, *rest: real(keys, values / 2, *rest))


@breaks("recall-delta")
def some_write_asked_for(patch):
    """Ask a key that is written again for what it was bound to first."""

    def first(real):
        def draw(task, sequences, rng):
            drawn = real(task, sequences, rng)
            written, asked = np.split(drawn.inputs[:, :, : task.keys].argmax(axis=2), [task.keys * task.writes], axis=1)
            earliest = (written[:, None] == asked[:, :, None]).argmax(axis=2)
            values = drawn.inputs[:, :, task.keys : task.keys + task.values].argmax(axis=2)
            return dataclasses.replace(drawn, answers=np.take_along_axis(values, earliest, axis=1))

        return draw

    replaced(patch, Rebinding, "draw", first)


@breaks("recall-softmax")
def logit_scaled_twice(patch):
    real = RULES["attention"]
    patch.setitem(RULES, "attention", lambda keys, values, queries, logit: real(keys, values, queries, logit / 4))


@breaks("truncation")
def carried_where_it_is_reset(patch):
    def carries(real):
        def outputs(self, rows, inputs):
            self.carried = True
            return real(self, rows, inputs)

        return outputs

    replaced(patch, windows.Windows, "outputs", carries)


@breaks("truncation")
def readout_of_the_wrong_token(patch):
    def later(real):
        return lambda features, targets, *rest: real(features, np.roll(targets, 1, axis=0), *rest)

    replaced(patch, truncation, "held_out_r2", later)


@breaks("training")
def hardly_trained(patch):
    train = calibration_training.train
    patch.setattr(calibration_training, "train", lambda models, rates, losses, steps, tell: train(
        models, rates, losses, 20, tell
    ))  # fmt: skip


@breaks("baselines")
def same_number_marked_twice(patch):
    def doubled(real):
        return lambda self, sequences, rng: dataclasses.replace(
            drawn := real(self, sequences, rng), answers=2 * drawn.inputs[:, 0, :1]
        )

    replaced(patch, Adding, "draw", doubled)


@breaks("baselines")
def one_symbol_too_few(patch):
    def poorer(real):
        return lambda self, sequences, rng: real(dataclasses.replace(self, symbols=7), sequences, rng)

    replaced(patch, Copy, "draw", poorer)


@pytest.mark.parametrize(("check", "broken"), BREAKS)
def test_a_check_fails_when_its_instrument_is_broken(monkeypatch, check, broken):
    shrink(monkeypatch)
    broken(monkeypatch)
    assert Found(instrument(check)).values("calibration_error")[0] > 1


def test_every_check_is_broken_at_least_once():
    assert {case.values[0] for case in BREAKS} == set(CHECKS)
