"""Measures a block in this process and streams what happens (the protocol of measure.md 3(a)).

    first pass     small to large: build, first call, warm-up; what the budget cannot pay is skipped
    rounds         each visits every remaining cell once, and every twin, in random order; one reference product a round
    end            one outcome per cell

A drift of the machine hits all cells of a round alike, so ratios within a round survive it; the reference product says
how fast the machine was, and the twins (the same cell under a second label, lane 1) how much two equal things differ.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import torch

from seqscale.messages import Begin, CellDone, Event, Measured, RoundDone, Told, Written
from seqscale.probes.base import AbstractProbe, AbstractTrial, Reading
from seqscale.probes.ceiling import reference_s
from seqscale.probes.failures import outcome_of
from seqscale.probes.plan import Forecast, over_budget, rounds_of_launch, seeded, settled, twins_of
from seqscale.probes.registry import probe_of
from seqscale.records import Block, Cell, Effort
from seqscale.rows import Outcome, OutcomeKind, Sample

Send = Callable[[Event], None]


def execute(block: Block, send: Send, launch: int, rounds_done: Mapping[str, int]) -> None:
    """Measure every cell of `block` and send what happens; nothing that a layer raises gets out.

    Args:
        block: cells of one probe, device and thread count.
        send: takes each event as it happens.
        launch: which launch of the effort this is, from 0.
        rounds_done: rounds of this launch that are kept already, by cell id.
    """
    torch.set_num_threads(block.cells[0].threads)
    probe = probe_of(block.cells[0].probe)
    if probe.repeats:
        _repeat(probe, block, send, launch, rounds_done)
    else:
        _measure_once(probe, block, send, launch)


def in_order(block: Block) -> list[Cell]:
    """Return the cells small to large, so that the cheap ones predict the dear ones."""
    return sorted(block.cells, key=lambda c: (c.length * c.batch, c.width, c.id))


def _measure_once(probe: AbstractProbe, block: Block, send: Send, launch: int) -> None:
    """Measure each cell one time, small to large: what does not vary needs no rounds."""
    forecast = Forecast()
    for cell in in_order(block):
        outcome = over_budget(forecast.predict(cell), 1, block.effort)
        if outcome is None:
            send(Begin(cell=cell.id, round=0))
            start = time.perf_counter()
            try:
                trial = probe.prepare(cell, partial(_tell, send, cell))
                readings = trial.first() + trial.again()
            except Exception as error:  # whatever a layer raises becomes its cell's outcome
                outcome = outcome_of(error)
            else:
                forecast.saw(cell, time.perf_counter() - start)
                _send_readings(send, cell, readings, Sample(value=0.0, launch=launch))
                _end(send, cell, trial)
                continue
        send(CellDone(cell=cell.id, outcome=outcome))
    send(RoundDone(round=0))


@dataclass(slots=True, eq=False)
class _Visited:
    """A cell in its rounds."""

    cell: Cell
    trial: AbstractTrial
    rounds: int
    spent_s: float = 0.0
    samples: dict[str, list[Sample]] = field(default_factory=dict)

    def exhausted(self, effort: Effort) -> bool:
        """Whether this launch may spend no more on the cell."""
        least, most = rounds_of_launch(effort)
        return self.rounds >= most or (self.rounds >= least and self.spent_s >= effort.cell_s)

    def finished(self, effort: Effort) -> bool:
        """Whether this launch knows the cell well enough, or may spend no more on it."""
        if self.exhausted(effort) or self.rounds < rounds_of_launch(effort)[0]:
            return self.exhausted(effort)
        return bool(self.samples) and all(settled(q, s, effort) for q, s in self.samples.items())


def _repeat(probe: AbstractProbe, block: Block, send: Send, launch: int, rounds_done: Mapping[str, int]) -> None:
    effort = block.effort
    visited = _first_pass(probe, block, send, launch, rounds_done)
    twins = twins_of(block.cells)
    shuffle = seeded([launch, *(cell.id for cell in block.cells)])
    number = max((v.rounds for v in visited), default=0)
    while not all(v.finished(effort) for v in visited):
        remaining = [v for v in visited if not v.exhausted(effort)]
        visits = [(v, 0) for v in remaining] + [(v, 1) for v in remaining if v.cell.id in twins]
        shuffle.shuffle(visits)
        product_s = reference_s(block.cells[0].device)
        for v, lane in visits:
            if v not in visited:  # its other lane has failed in this round
                continue
            send(Begin(cell=v.cell.id, round=number))
            start = time.perf_counter()
            try:
                readings = v.trial.again()
            except Exception as error:  # whatever a layer raises becomes its cell's outcome
                visited.remove(v)
                send(CellDone(cell=v.cell.id, outcome=outcome_of(error)))
                continue
            label = Sample(value=0.0, launch=launch, round=number, lane=lane, reference_s=product_s)
            samples = _send_readings(send, v.cell, readings, label)
            if lane == 0:
                v.rounds += 1
                v.spent_s += time.perf_counter() - start
                for quantity, sample in samples:
                    v.samples.setdefault(quantity, []).append(sample)
        send(RoundDone(round=number))
        number += 1
    for v in visited:
        _end(send, v.cell, v.trial)


def _tell(send: Send, cell: Cell, text: str) -> None:
    send(Told(cell=cell.id, text=text))


def _end(send: Send, cell: Cell, trial: AbstractTrial) -> None:
    """Send what a measured cell leaves beside its samples: the document, if there is one, and the outcome."""
    if trial.document is not None:
        send(Written(cell=cell.id, text=trial.document))
    send(CellDone(cell=cell.id, outcome=Outcome(kind=OutcomeKind.ok, reason=trial.note)))


def _first_pass(
    probe: AbstractProbe, block: Block, send: Send, launch: int, rounds_done: Mapping[str, int]
) -> list[_Visited]:
    """Make every cell ready and its first call, small to large; return those that go into the rounds."""
    effort, forecast, ready = block.effort, Forecast(), []
    least, _ = rounds_of_launch(effort)
    for cell in in_order(block):
        done = rounds_done.get(cell.id, 0)
        left = max(1, least - done)
        skipped = over_budget(forecast.predict(cell), left, effort)
        if skipped is None:
            send(Begin(cell=cell.id, round=None))
            try:
                trial = probe.prepare(cell)
                first = trial.first()
                start = time.perf_counter()
                trial.again()  # not kept: it says what a round costs
            except Exception as error:  # whatever a layer raises becomes its cell's outcome
                send(CellDone(cell=cell.id, outcome=outcome_of(error)))
                continue
            visit_s = time.perf_counter() - start
            forecast.saw(cell, visit_s)
            skipped = over_budget(visit_s, left, effort)
        if skipped is not None:
            send(CellDone(cell=cell.id, outcome=skipped))
            continue
        if done == 0:
            _send_readings(send, cell, first, Sample(value=0.0, launch=launch))
        ready.append(_Visited(cell, trial, done))
    return ready


def _send_readings(send: Send, cell: Cell, readings: tuple[Reading, ...], label: Sample) -> list[tuple[str, Sample]]:
    """Send readings as samples that carry `label`'s launch, lane and reference, and its round or their replicate."""
    samples = []
    for reading in readings:
        sample = Sample(
            value=reading.value,
            launch=label.launch,
            round=label.round + reading.replicate,
            lane=label.lane,
            cpu_s=reading.cpu_s,
            reference_s=label.reference_s,
        )
        send(Measured(cell=cell.id, quantity=reading.quantity, sample=sample))
        samples.append((reading.quantity, sample))
    return samples
