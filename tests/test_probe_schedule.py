"""The probe `schedule`: its document is the operation graph that the counts are sums and longest chains of."""

from __future__ import annotations

import json

import pytest
from schedulers import greedy
from test_probe_count import cell, readings, write

from seqscale.errors import UnsupportedError
from seqscale.layers.catalogue import LAYERS
from seqscale.probes import schedule
from seqscale.probes.schedule import ScheduleProbe


@pytest.mark.parametrize(("layer", "algorithm"), [(n, a) for n, s in LAYERS.items() for a in s.algorithms])
def test_the_document_adds_up_to_the_counts(layer, algorithm):
    trial = ScheduleProbe().prepare(cell(layer, probe="schedule", mode="forward", algorithm=algorithm))
    found = readings(trial)
    kernels = json.loads(trial.document)["kernels"]
    assert len(kernels) == found["kernels"]
    assert sum(work for _, work, _, _ in kernels) == found["work"]
    ends = []
    for i, (_, _, depth, waits) in enumerate(kernels):
        assert all(w < i for w in waits)
        ends.append(depth + max((ends[w] for w in waits), default=0))
    assert max(ends) == found["ideal_span"]
    # one thread per kernel: the schedule of the traced graph obeys the bounds, work counted in flop
    for processors in (1, 2, 7):
        weights = [(work, depth, waits) for _, work, depth, waits in kernels]
        finish = max(slot.finish for slot in greedy(weights, processors))
        total, chain = sum(work for work, _, _ in weights), longest(weights)
        assert max(total / processors, chain) <= finish <= total / processors + chain


def longest(weights):
    ends = []
    for work, _, waits in weights:
        ends.append(work + max((ends[w] for w in waits), default=0))
    return max(ends)


def test_a_schedule_of_too_many_kernels_or_of_unknown_ones_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(schedule, "MOST_KERNELS", 3)
    with pytest.raises(UnsupportedError, match="3 at most"):
        readings(ScheduleProbe().prepare(cell("gru", probe="schedule", mode="forward")))
    own = write(tmp_path, "torch.linalg.matrix_exp(x @ x.mT) @ x")
    with pytest.raises(UnsupportedError, match="no law for linalg_matrix_exp"):
        readings(ScheduleProbe().prepare(cell(own, probe="schedule", mode="forward")))
