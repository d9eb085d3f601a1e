"""The machine's ceilings: arithmetic of a trial under a clock that we set, refusals, and one tiny real measurement."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from store_examples import QUESTION, SCOPE
from torch.utils.flop_counter import FlopCounterMode

import seqscale
from seqscale.ceilings import Ceilings, ceiling_cells, doubling
from seqscale.engine.local import LocalEngine
from seqscale.errors import UnsupportedError, UsageError
from seqscale.probes import ceiling
from seqscale.probes.catalogue import MACHINE, PROBES
from seqscale.probes.ceiling import CHAIN, GRAIN, LARGEST_STREAM, ROW, SMALLEST_STREAM, CeilingProbe, CeilingTrial
from seqscale.probes.time import TimeProbe
from seqscale.records import Block, Cell, Effort, Question
from seqscale.request import resolve
from seqscale.rows import Observation, Outcome, OutcomeKind, Row, Sample, Table
from seqscale.store.store import Store
from seqscale.studies.base import blocks
from seqscale.studies.catalogue import QUICK
from seqscale.units import QUANTITIES

CORES = len(os.sched_getaffinity(0))


class Clock:
    """Stands still but for the kernels that run on it; `share` of what they take is processor time."""

    def __init__(self, share=1.0):
        self.now, self.cpu, self.share = 0.0, 0.0, share

    def kernel(self, seconds):
        def run():
            self.now += seconds
            self.cpu += seconds * self.share

        return run

    def trial(self, quantity, kernels, value):
        return CeilingTrial(
            quantity, kernels, value, wait=lambda: None, clock=lambda: self.now, cpu_clock=lambda: self.cpu
        )


def cell(name, threads=1, **fields):
    (found,) = (c for c in ceiling_cells(1, "cpu") if c.algorithm == "product")
    return replace(found, algorithm=name, threads=threads, **fields)


def value_of(name, monkeypatch, seconds, threads=1):
    """What the probe makes of kernels that take `seconds`, one after another, on a clock of ours."""
    clock, left = Clock(), list(seconds)

    def trial(quantity, kernels, value, *, wait):
        return clock.trial(quantity, [(clock.kernel(left.pop(0)), busy) for _, busy in kernels], value)

    monkeypatch.setattr(ceiling, "CeilingTrial", trial)
    prepared = CeilingProbe().prepare(cell(name, threads))
    assert prepared.first() == ()
    (reading,) = prepared.again()
    assert not left and prepared.document is None
    return reading.quantity, reading.value


@pytest.mark.parametrize(
    ("name", "seconds", "quantity", "value"),
    [
        ("product", [0.25], "flop_rate", 2 * 512**3 * 4),
        ("stream", [0.5], "bandwidth", 24 * 1000),
        ("dispatch", [CHAIN * 7e-7], "dispatch_time", 7e-7),
        ("step", [ROW * 5e-10], "dependent_step_time", 5e-10),
    ],
)
def test_known_times_give_known_ceilings(monkeypatch, name, seconds, quantity, value):
    monkeypatch.setattr(ceiling, "stream_bytes", lambda cache: 12 * 1000)
    assert value_of(name, monkeypatch, seconds) == (quantity, pytest.approx(value))


@pytest.mark.skipif(CORES < 2, reason="a kernel is shared by two cores")
@pytest.mark.parametrize(("together", "barrier"), [(5e-6, 2e-6), (1e-6, 0.0)])
def test_a_barrier_is_what_the_shared_kernel_takes_beyond_one_share(monkeypatch, together, barrier):
    found = value_of("barrier", monkeypatch, [together, 3e-6], threads=2)
    assert found == ("barrier_time", pytest.approx(barrier, abs=1e-12))


def test_the_product_does_the_flop_it_is_charged_for():
    n = ceiling.product_size("cpu")
    with FlopCounterMode(display=False) as counter:
        ceiling.product("cpu")()
    assert counter.get_total_flops() == 2 * n**3


def test_the_kernels_compute_what_their_names_say():
    assert torch.equal(ceiling.stream(5, "cpu")(), torch.full((5,), 4.0))
    steps = ceiling.row(1000)()
    assert steps.shape == (1000,) and steps[-1].item() == pytest.approx(1.0)
    assert ceiling.shared(2 * GRAIN)().shape == (2 * GRAIN,)


def test_a_sample_is_long_enough_and_the_first_call_of_each_is_not_timed():
    clock = Clock()
    called = []
    kernel = clock.kernel(ceiling.SAMPLE_S / 8)

    def run():
        called.append(clock.now)
        kernel()

    trial = clock.trial("dispatch_time", [(run, 1)], lambda s: s[0])
    trial.first()
    called.clear()
    trial.again()
    assert len(called) == 1 + 8


@pytest.mark.parametrize(
    ("share", "busy", "said"), [(1.0, 1, None), (0.95, 1, None), (2.0, 2, None), (1.0, 2, "50%"), (0.3, 1, "30%")]
)
def test_threads_that_had_to_share_their_cores_are_told(share, busy, said):
    clock = Clock(share)
    trial = clock.trial("flop_rate", [(clock.kernel(1e-3), busy)], lambda s: 1 / s[0])
    trial.first()
    trial.again()
    assert trial.note is None if said is None else said in trial.note


def test_what_was_taken_during_warm_up_is_no_fault_of_the_samples():
    clock = Clock(share=0.1)
    trial = clock.trial("flop_rate", [(clock.kernel(1e-3), 1)], lambda s: 1 / s[0])
    trial.first()
    clock.share = 1.0
    trial.again()
    assert trial.note is None


@given(st.one_of(st.none(), st.integers(1, 2**40)))
def test_arrays_are_larger_than_the_cache_within_limits(cache):
    size = ceiling.stream_bytes(cache)
    assert SMALLEST_STREAM <= size <= LARGEST_STREAM < 200e6 * 1.01
    assert cache is None or size >= min(LARGEST_STREAM, 12 * cache)


def test_the_last_level_cache_is_read_in_bytes(tmp_path):
    assert ceiling.last_level_cache(tmp_path) is None
    for index, size in enumerate(("48K", "2M", "what")):
        (tmp_path / f"index{index}").mkdir()
        (tmp_path / f"index{index}" / "size").write_text(size + "\n")
    assert ceiling.last_level_cache(tmp_path) == 2 << 20


@pytest.mark.parametrize("name", MACHINE.algorithms)
def test_more_threads_than_cores_are_unsupported(name):
    with pytest.raises(UnsupportedError, match=f"this process may use {CORES} core"):
        CeilingProbe().prepare(cell(name, threads=CORES + 1))


def test_a_time_of_more_threads_than_cores_is_unsupported():
    spec = resolve(layers=("gru",)).layers[0]
    asked = cell("library", threads=CORES + 1, probe="time", layer=spec.name, target=spec.target)
    with pytest.raises(UnsupportedError, match=f"this process may use {CORES} core"):
        TimeProbe().prepare(asked)


@pytest.mark.parametrize("name", MACHINE.algorithms)
def test_each_kernel_says_how_many_threads_it_keeps_busy(monkeypatch, name):
    said = []
    monkeypatch.setattr(ceiling, "require_cores", lambda cell: None)
    monkeypatch.setattr(ceiling, "stream_bytes", lambda cache: 12)
    monkeypatch.setattr(ceiling, "CeilingTrial", lambda q, kernels, v, wait: said.extend(busy for _, busy in kernels))
    CeilingProbe().prepare(cell(name, threads=8))
    assert said == {"product": [8], "stream": [8], "dispatch": [1], "step": [1], "barrier": [8, 1]}[name]


@pytest.mark.parametrize("name", ["barrier", "roof"])
def test_a_ceiling_that_the_machine_does_not_have_is_unsupported(name):
    with pytest.raises(UnsupportedError):
        CeilingProbe().prepare(cell(name))


def test_the_machine_is_no_layer_to_be_measured():
    assert PROBES["ceiling"].subject == "machine"
    with pytest.raises(UsageError, match="seqscale machine"):
        seqscale.measure("ceiling", "gru")


@given(st.integers(1, 300))
def test_threads_double_up_to_all_cores(cores):
    counts = doubling(cores)
    assert counts[0] == 1 and counts[-1] == cores and list(counts) == sorted(set(counts))
    assert counts[:-1] == tuple(2**k for k in range(len(counts) - 1)) and 2 * counts[-2:][0] >= cores


def ceilings(*, reason=None):
    """Three ceilings of one thread and a half, as a store would give them."""
    values = {"product": ("flop_rate", 2e11), "stream": ("bandwidth", 1e10), "step": ("dependent_step_time", 5e-10)}
    rows = []
    for name, (quantity, value) in values.items():
        samples = [Sample(value=value * (1 + 0.01 * i), round=i + 10) for i in range(-5, 6)]
        seen = {quantity: Observation.of(quantity, samples)}
        rows.append(Row(cell(name), Outcome(kind=OutcomeKind.ok, reason=reason), seen))
    failed = Outcome(kind=OutcomeKind.unsupported, reason="two threads: one core")
    rows.append(Row(cell("barrier", threads=2), failed))
    return Ceilings(table=Table(rows), machine={"cores": "2"}, versions={"torch": "2"})


def test_the_ridge_is_the_ratio_of_the_two_roofs_with_the_worst_and_best_of_both():
    ridge = ceilings().ridge(1)
    assert ridge.value == pytest.approx(20.0)
    assert ridge.low == pytest.approx(20 * 0.96 / 1.04) and ridge.high == pytest.approx(20 * 1.04 / 0.96)
    assert ceilings().ridge(2) is None


def test_the_text_has_a_column_for_each_number_of_threads_and_what_is_in_doubt():
    lines = ceilings().text().splitlines()
    assert [line.split("   ")[0].strip() for line in lines if line.startswith("CEILING")] == ["CEILING"]
    assert any("1 THREAD" in line and "2 THREADS" in line for line in lines)
    assert any("200 GFLOP/s" in line for line in lines) and any("20 flop/B" in line for line in lines)
    assert lines[-1] == "barrier, threads 2: two threads: one core"
    assert "product, threads 1: not alone" in ceilings(reason="not alone").text()


def test_the_record_has_a_unit_beside_every_number():
    record = ceilings().record()
    json.dumps(record, allow_nan=False)
    assert [r["ceiling"] for r in record["ceilings"]] == ["product", "stream", "step", "barrier"]
    assert [r.get("unit") for r in record["ceilings"]] == ["flop/s", "B/s", "s", None]
    assert record["ceilings"][3]["outcome"] == "unsupported" and record["ceilings"][3]["reason"]
    assert record["ridge"] == [
        {"threads": 1, "value": pytest.approx(20.0), "low": pytest.approx(20 * 0.96 / 1.04),
         "high": pytest.approx(20 * 1.04 / 0.96), "unit": "flop/B"},
    ]  # fmt: skip


def test_every_ceiling_is_measured_through_the_engine_without_a_gate(tmp_path):
    cells = ceiling_cells(1, "cpu")
    with Store.writer(tmp_path / "a.db") as store:
        engine = LocalEngine(store, tmp_path / "log", watch=lambda p: None, decided=lambda: None)
        engine.admit(cells)
        engine.run([Block(cells=cells, effort=Effort(min_rounds=2, max_rounds=2))])
        rows = list(store.table(cells))
        assert all(store.gate(c.gate_key) is None for c in cells)
    assert [row.cell.algorithm for row in rows] == ["product", "stream", "dispatch", "step"]
    for row in rows:
        (seen,) = row.observations.values()
        assert row.ok and seen.quantity in PROBES["ceiling"].quantities and seen.quantity in QUANTITIES
        assert len(seen.samples) == 2 and all(s.value > 0 and s.reference_s > 0 for s in seen.samples)


@dataclass(frozen=True)
class Asks:
    """A stand-in for a claim that needs these cells of every question."""

    cells: Callable[[Question], tuple[Cell, ...]]

    def requires(self, question):
        return self.cells(question)


def test_a_block_has_one_number_of_threads_and_the_ceilings_are_one_block_before_the_times():
    def cells(question):
        layer, version = question.layer, PROBES["time"].version
        asked = [
            question.scope.cell("time", version, layer, algorithm="library", mode=mode, length=8, threads=threads)
            for threads in (2, 1)
            for mode in ("training", "forward")
        ]
        for probe in ("count", "schedule"):
            asked.append(question.scope.cell(probe, 1, layer, algorithm="library", mode="forward", length=8))
        return (*asked, cell("product", threads=2), cell("product"), cell("step"))

    scope = replace(SCOPE, width=32)
    questions = [replace(QUESTION, claim="c", scope=replace(scope, width=width)) for width in (64, 32)]
    found = blocks(QUICK, questions, {"c": Asks(cells)})
    told = [(b.cells[0].probe, b.cells[0].mode, b.cells[0].threads, b.cells[0].width, len(b.cells)) for b in found]
    own = [
        [("count", "forward", 1, width, 1), ("schedule", "forward", 1, width, 1)]
        + [("time", mode, threads, width, 1) for mode in ("forward", "training") for threads in (1, 2)]
        for width in (32, 64)
    ]
    assert told == [*own[0][:2], ("ceiling", "forward", 1, 1, 2), ("ceiling", "forward", 2, 1, 1), *own[0][2:], *own[1]]


def test_rounds_of_a_ceiling_that_are_kept_are_not_measured_again(tmp_path):
    only = cell("dispatch")
    with Store.writer(tmp_path / "a.db") as store:
        store.add_cells([only])
        store.commit_round((only.id, "dispatch_time", Sample(value=1.0, round=i)) for i in range(2))
        seen = []
        engine = LocalEngine(store, tmp_path / "log", watch=lambda p: seen.append(p.now), decided=lambda: None)
        engine.run([Block(cells=(only,), effort=Effort(min_rounds=3, max_rounds=3))])
        (row,) = store.table()
    assert [now.rpartition("round ")[2] for now in seen if "round" in now] == ["3"]
    assert [s.value == 1.0 for s in row.observations["dispatch_time"].samples] == [True, True, False]


def test_the_verb_keeps_its_samples_in_a_store_and_reads_them_back(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("seqscale.ceilings.EFFORT", Effort(min_rounds=2, max_rounds=2))
    path = tmp_path / "a.db"
    first = seqscale.machine(threads=[1], store=path)
    again = seqscale.machine(threads=[1, 1], store=path)
    assert [row.observations for row in again.table] == [row.observations for row in first.table]
    fresh = seqscale.machine(threads=[1], store=path, fresh=True)
    assert [row.observations for row in fresh.table] != [row.observations for row in first.table]
    assert first.ridge(1).low <= first.ridge(1).value <= first.ridge(1).high


@pytest.mark.parametrize(("device", "counts"), [("cpu", doubling(CORES)), ("cuda", (1,))])
def test_all_cores_are_asked_of_a_processor_and_one_thread_of_a_gpu(device, counts, tmp_path, monkeypatch):
    asked, cells = [], ceiling_cells(1, "cpu")
    monkeypatch.setattr("seqscale.ceilings.ceiling_cells", lambda count, of: asked.append((count, of)) or cells)
    monkeypatch.setattr(LocalEngine, "run", lambda engine, blocks: None)
    seqscale.machine(device=device, store=tmp_path / "a.db")
    assert asked == [(count, device) for count in counts]


@pytest.mark.parametrize(
    ("threads", "device", "said"),
    [([CORES + 1], "cpu", f"may use {CORES} core"), ([0], "cpu", "--threads 0"), (None, "tpu", "--device tpu")],
)
def test_misuse_is_refused_before_anything_is_written(tmp_path, threads, device, said):
    with pytest.raises(UsageError, match=said):
        seqscale.machine(threads=threads, device=device, store=tmp_path / "a.db")
    assert not list(tmp_path.iterdir())


def test_the_command_prints_one_json_document(monkeypatch, capsys):
    from seqscale import cli

    monkeypatch.setattr("seqscale.ceilings.EFFORT", Effort(min_rounds=1, max_rounds=1))
    monkeypatch.setattr("sys.argv", ["seqscale", "machine", "--threads", "1", "--json"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    record = json.loads(capsys.readouterr().out)
    assert not end.value.code
    assert set(record) == {"machine", "versions", "ceilings", "ridge"}
    assert {(r["threads"], r["device"]) for r in record["ceilings"]} == {(1, "cpu")}
    assert all(r["value"] > 0 and r["unit"] and r["low"] <= r["value"] <= r["high"] for r in record["ceilings"])


@pytest.mark.parametrize("text", ["0", "1,", "two", "-1"])
def test_threads_that_are_no_numbers_are_refused_in_a_line(monkeypatch, capsys, text):
    from seqscale import cli

    monkeypatch.setattr("sys.argv", ["seqscale", "machine", f"--threads={text}"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2 and f"--threads {text}" in capsys.readouterr().err
