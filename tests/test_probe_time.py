"""The clock: samples long enough, collector off, first call apart; and the call that is timed is the one meant."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time

import pytest
import torch
from catalogue import every_implementation, normal
from torch import nn

from seqscale.errors import UnsupportedError
from seqscale.layers.adapt import capabilities
from seqscale.layers.build import Built
from seqscale.probes.subject import context_of
from seqscale.probes.time import SAMPLE_S, TimeTrial
from seqscale.tracing.calls import forward_call, training_call


class Call:
    """A call that lasts `seconds` of busy waiting, and notes what was going on."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.count = 0
        self.collecting = []

    def __call__(self):
        self.count += 1
        self.collecting.append(gc.isenabled())
        until = time.perf_counter() + self.seconds
        while time.perf_counter() < until:
            pass


def trial(call):
    return TimeTrial(call, lambda: None)


def test_a_short_call_is_repeated_until_a_sample_lasts_two_milliseconds():
    call = Call(1e-4)
    clock = trial(call)
    (first,) = clock.first()
    assert first.quantity == "first_call_time" and first.value >= 1e-4
    before = call.count
    (reading,) = clock.again()
    assert reading.quantity == "time" and reading.value >= 1e-4 and reading.cpu_s > 0
    assert (call.count - before) * reading.value >= SAMPLE_S / 2  # the machine may have been slower while it warmed up


def test_a_long_call_is_made_once_and_not_warmed_up():
    call = Call(0.11)
    clock = trial(call)
    clock.first()
    clock.again()
    assert call.count == 2


COMPILING = """
import torch
from numba.core.event import install_recorder
from seqscale.layers.elman import Elman
from seqscale.probes.time import TimeTrial
from seqscale.tracing.calls import training_call

layer, x = Elman(4, algorithm="fused"), torch.zeros(1, 8, 4).requires_grad_()
trial, seen = TimeTrial(lambda: training_call(layer, x), lambda: None), []
for part in (trial.first, trial.again, trial.again):
    with install_recorder("numba:compile") as recorder:
        part()
    seen.append(len(recorder.buffer) > 0)
print(seen)
"""


def test_compiling_a_kernel_is_in_the_first_call_and_in_no_sample(tmp_path):
    clean = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    found = [
        subprocess.run([sys.executable, "-c", COMPILING], capture_output=True, text=True, check=True, env=clean).stdout
        for _ in range(2)
    ]
    assert found == ["[True, False, False]\n", "[False, False, False]\n"]  # the second process finds it on disk


def test_the_collector_rests_while_the_clock_runs_and_only_then():
    call = Call(1e-3)
    clock = trial(call)
    clock.first()
    clock.again()
    assert not any(call.collecting) and gc.isenabled()


def test_the_collector_is_back_after_a_call_that_raises():
    def fails():
        raise ValueError

    with pytest.raises(ValueError):
        trial(fails).first()
    assert gc.isenabled()


def test_forward_records_nothing_and_training_reaches_parameters_and_input():
    layer, x = nn.Linear(3, 3), torch.ones(1, 2, 3, requires_grad=True)
    assert not forward_call(layer, x).requires_grad
    for _ in range(2):  # gradients start empty: the second call gives what the first gave
        training_call(layer, x)
        assert torch.equal(layer.bias.grad, torch.full((3,), 2 / 6))
        assert torch.allclose(x.grad, (layer.weight.sum(0) / 6).expand_as(x))


@every_implementation
def test_a_step_is_timed_after_exactly_the_context(implementation):
    module, fast = implementation.build(), implementation.build()
    x = normal(2, 6, module.width)
    state = module.initial_state(2)
    for x_t in x.unbind(1):
        _, state = module.step(x_t, state)
    found = context_of(built(module), built(fast), x)
    for a, b in zip(found, state, strict=True):
        assert a.shape == b.shape and torch.allclose(a, b, rtol=0, atol=1e-12)


def test_a_layer_without_a_step_cannot_decode():
    with pytest.raises(UnsupportedError, match="no step"):
        context_of(built(nn.Linear(2, 2)), built(nn.Linear(2, 2)), torch.ones(1, 2, 2))


def built(module):
    return Built(module=module, capabilities=capabilities(module), notes=())
