"""What the verbs do, as plain functions that return frozen values; the command line is a thin skin on them."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqscale.errors import UnknownNameError, UsageError
from seqscale.records import Block, Cell, Effort, Option, Question
from seqscale.rows import Row, Table
from seqscale.units import format_value

if TYPE_CHECKING:  # imported where they are used, so that importing seqscale stays instant
    from seqscale.engine.local import Progress
    from seqscale.reporting.model import Page
    from seqscale.store.store import Store
    from seqscale.verdicts.base import Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What of a store is done, left and failed."""

    table: Table

    def record(self) -> dict[str, Any]:
        """Return counts by outcome, the number of cells left, and every cell's id, JSON-ready."""
        kinds = [row.outcome.kind.name for row in self.table if row.outcome is not None]
        counts = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
        ids = [row.cell.id for row in self.table]
        return {"cells": counts, "left": len(ids) - len(kinds), "cell_ids": ids}

    def text(self) -> str:
        """Return the same for a person, with the cure beside what failed."""
        from seqscale.reporting.terminal import status_text

        return status_text(self.table)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run leaves: the page of its verdicts, and where store and report are."""

    page: Page
    store: Path
    report: Path
    complete: bool  # False: the budget ended first
    overhead: float | None  # share of the wall time that was not inside measured calls; None: nothing was measured

    def text(self, command: str = "seqscale run") -> str:
        """Return the first screen; `command` is the run as it was typed, to be repeated with --until."""
        from seqscale.reporting.terminal import first_screen

        return first_screen(self.page, store=str(self.store), report=str(self.report), command=command)

    def record(self) -> dict[str, Any]:
        """Return verdicts, status and paths, JSON-ready."""
        return {
            "study": self.page.study,
            "complete": self.complete,
            "wall": {"value": self.page.wall_s, "unit": "s"},
            "overhead": {"value": self.overhead, "unit": "1"},
            "status": Status(table=self.page.table).record(),
            "claims": [judgement.record() for judgement in self.page.judgements],
            "store": str(self.store),
            "report": str(self.report),
        }


def run(
    study: str = "quick",
    *,
    layers: Sequence[str] = (),
    lengths: tuple[int, ...] | None = None,
    width: int | None = None,
    batch: int = 1,
    dtype: str = "float32",
    algorithm: str | None = None,
    device: str = "cpu",
    threads: int = 1,
    seed: int = 0,
    options: tuple[tuple[str, Option], ...] = (),
    claims: Sequence[str] = (),
    until: str | None = None,
    budget_s: float | None = None,
    store: str | Path = "seqscale.db",
    report: str | Path = "report.html",
    fresh: bool = False,
    watch: Callable[[Progress], None] = lambda progress: None,
    say: Callable[[str], None] = lambda text: None,
) -> RunResult:
    """Measure a study, judge its claims, write the report.

    Args:
        study: name of a study.
        layers: catalogue names, `path.py:Name` or `module:Name`, each with `/algorithm` if one is wanted; empty: all of
            the catalogue.
        lengths, width, batch, dtype, algorithm, device, threads, seed, options: of the cells; None: the study's own.
        claims: ids; empty: all.
        until: only this claim's cells, without a limit to one cell's share and to a finer interval.
        budget_s: seconds after which the run stops cleanly.
        store, report: files; the store is resumed if it exists.
        fresh: forget what the store has of these cells first.
        watch, say: called with progress, and with each verdict as it falls.

    Raises:
        UsageError: a name or number that cannot be.
        StoreError: a store that cannot be written, or that another run writes.
    """
    from seqscale.engine.local import BudgetSpent, LocalEngine
    from seqscale.engine.machine import this_machine, versions
    from seqscale.pages import page_of
    from seqscale.request import resolve
    from seqscale.store.store import Store
    from seqscale.studies import base, catalogue
    from seqscale.verdicts.catalogue import CLAIMS

    chosen = catalogue.find(study)
    request = resolve(
        layers=layers, lengths=lengths, width=width, batch=batch, dtype=dtype, algorithm=algorithm, device=device,
        threads=threads, seed=seed, options=options, claims=(until,) if until else claims,
    )  # fmt: skip
    if until:
        chosen = replace(chosen, efforts={probe: base.harder(effort) for probe, effort in chosen.efforts.items()})
    asked = base.questions(chosen, request)
    if not asked:
        raise UsageError(f"study {study} asks nothing of these layers by these claims; `seqscale list claims` has all.")
    blocks = base.blocks(chosen, asked, CLAIMS)
    store, report = Path(store), Path(report)
    _check_report(report)
    started = time.monotonic()
    with Store.writer(store) as kept:
        engine = LocalEngine(
            kept,
            store.with_name(store.name + ".log"),
            watch=watch,
            decided=_announcer(kept, asked, say),
            budget_s=budget_s,
        )
        complete = True
        try:
            engine.admit(_plainest_cells(asked))  # before anything is entered: a misspelt layer leaves no trace
        except BudgetSpent:
            complete = False
        kept.add_questions(study, asked)
        kept.add_cells(cell for block in blocks for cell in block.cells)
        if fresh:
            kept.fresh(cell.id for block in blocks for cell in block.cells)
        number = kept.begin_run(study, versions()["seqscale"], this_machine().facts(), versions())
        try:
            engine.run(blocks, _undecided_cells(kept, asked) if until else frozenset())
        except BudgetSpent:
            complete = False
        finally:
            kept.end_run(number, time.monotonic() - started, engine.measured_s)
        # what --until bought is shown among everything that the study was asked, not alone
        page = page_of(kept, study, [q for name, q in kept.questions() if name == study] if until else asked)
    _write_report(page, report)
    wall_s = time.monotonic() - started
    overhead = 1 - engine.measured_s / wall_s if engine.measured_s else None
    return RunResult(page=page, store=store, report=report, complete=complete, overhead=overhead)


def measure(
    probe: str,
    layer: str,
    *,
    algorithm: str | None = None,
    mode: str | None = None,
    length: int = 512,
    width: int = 64,
    batch: int = 1,
    dtype: str = "float32",
    device: str = "cpu",
    threads: int = 1,
    seed: int = 0,
    options: tuple[tuple[str, Option], ...] = (),
    conditions: tuple[tuple[str, Option], ...] = (),
) -> Row:
    """Measure one cell now, gate included, and return its outcome and observations; nothing is stored.

    Args:
        probe: name of a probe. layer: as in `run`.
        mode: forward, training or decode; None: the probe's first.
        length: tokens; for decode the context that the timed step follows.
        conditions: what the probe fixes (`seqscale list probes`); those not given have their defaults.

    Raises:
        UsageError: a name or number that cannot be.
    """
    from seqscale.engine.local import LocalEngine
    from seqscale.probes import catalogue as probes
    from seqscale.request import resolve
    from seqscale.store.store import Store

    spec = probes.find(probe)
    if spec.subject != "layer":
        cure = "seqscale machine" if spec.subject == "machine" else "seqscale run calibration"
        raise UsageError(f"probe {probe} measures the {spec.subject}, not a layer: `{cure}` asks it.")
    mode = mode or spec.modes[0]
    if mode not in spec.modes:
        raise UsageError(f"--mode {mode}: probe {probe} measures {', '.join(spec.modes)}.")
    request = resolve(
        layers=(layer,), lengths=(length,), width=width, batch=batch, dtype=dtype, algorithm=algorithm, device=device,
        threads=threads, seed=seed, options=options, claims=(),
    )  # fmt: skip
    only = request.layers[0]
    cell = Cell(
        probe=probe, probe_version=spec.version, layer=only.name, layer_version=only.version, target=only.target,
        options=options, algorithm=request.algorithms.get(only.name, only.algorithms)[0], mode=mode,
        length=length, width=width, batch=batch, dtype=dtype, device=device, threads=threads, seed=seed,
        launcher="fork" if device == "cpu" else "fresh", machine=request.machine, torch=request.torch,
        conditions=spec.settle(dict(conditions), length, request.width or width),
    )  # fmt: skip
    effort = Effort(min_rounds=9, max_rounds=30, cell_s=600.0, call_s=300.0)
    with tempfile.TemporaryDirectory() as folder, Store.writer(Path(folder) / "measure.db") as kept:
        engine = LocalEngine(kept, Path(folder) / "log", watch=lambda progress: None, decided=lambda: None)
        engine.admit([cell])
        engine.run([Block(cells=(cell,), effort=effort)])
        return kept.table([cell]).row(cell)


def claims(store: str | Path = "seqscale.db", *, claims: Sequence[str] = ()) -> tuple[Judgement, ...]:
    """Judge what a store was filled for, in the order asked.

    Args:
        store: the file of a run.
        claims: ids; empty: all.

    Raises:
        UnknownNameError: a claim that there is not, or that the store was not filled for.
        StoreError: no store, or one that cannot be read.
    """
    from seqscale.pages import judge
    from seqscale.store.store import Store
    from seqscale.verdicts.catalogue import find

    named = {find(name).id for name in claims}
    with Store.open(store) as kept:
        asked = [question for _, question in kept.questions()]
        filled = {question.claim for question in asked}
        if asked and not named <= filled:
            raise UnknownNameError(f"claim of {store}", min(named - filled), filled)
        return judge([q for q in asked if not named or q.claim in named], kept.table())


def status(store: str | Path = "seqscale.db") -> Status:
    """Return what of a store is done, left and failed."""
    from seqscale.store.store import Store

    with Store.open(store) as kept:
        return Status(table=kept.table())


def report(store: str | Path = "seqscale.db", out: str | Path = "report.html") -> Path:
    """Write the HTML report of a store and return its path."""
    from seqscale.pages import stored_page

    out = Path(out)
    _check_report(out)
    _write_report(stored_page(store), out)
    return out


def export(store: str | Path = "seqscale.db", out: str | Path = "seqscale-export") -> tuple[Path, ...]:
    """Write figures (SVG, PNG) and tables (CSV, JSON) of a store into a folder; return the files."""
    from seqscale.pages import stored_page
    from seqscale.reporting.export import export as write

    page = stored_page(store)
    try:
        return tuple(write(page, Path(out)))
    except OSError as error:
        raise UsageError(f"{out}: cannot be filled ({error.strerror}); name a folder that can be made.") from error


def row_record(row: Row) -> dict[str, Any]:
    """Return a measured cell in the shape that `seqscale measure --json` prints."""
    assert row.outcome is not None
    return {
        "cell": row.cell.record(),
        "outcome": row.outcome.kind.name,
        "reason": row.outcome.reason,
        "observations": [observation.record() for observation in row.observations.values()],
        "document": None if row.document is None else json.loads(row.document),
    }


def row_text(row: Row) -> str:
    """Return a measured cell for a person: every quantity with its interval, or what went wrong and the cure."""
    assert row.outcome is not None
    lines = [row.cell.label()]
    for name, seen in row.observations.items():
        spread = "" if seen.low == seen.high else f"  [{format_value(name, seen.low)}, {format_value(name, seen.high)}]"
        lines.append(f"  {name:<22} {format_value(name, seen.value)}{spread}")
    words = dict.fromkeys(seen.interval for seen in row.observations.values() if seen.low != seen.high)
    lines += [f"  [ ] is the {' or the '.join(words)}"] if words else []
    if not row.ok:
        lines.append(f"  {row.outcome.kind.name}: {row.outcome.reason}\n  {row.outcome.kind.cure}")
    return "\n".join(lines)


def _announcer(store: Store, asked: Sequence[Question], say: Callable[[str], None]) -> Callable[[], None]:
    """Return a function that says each verdict once, when it falls or changes."""
    from seqscale.pages import judge
    from seqscale.verdicts.base import Reason

    said: dict[tuple[str, str, str, str], str] = {}

    def decided() -> None:
        for question, found in zip(asked, judge(asked, store.table()), strict=True):
            key = (found.claim, found.layer, found.algorithm, str(question.scope.width))
            if found.reason is not Reason.budget and said.get(key) != found.verdict.name:
                said[key] = found.verdict.name
                short = found.headline if found.reason is None else f"{found.headline} ({found.reason.name})".lstrip()
                say(f"{found.verdict.name:<12} {found.claim:<25} {found.layer}/{found.algorithm}: {short}")

    return decided


def _plainest_cells(asked: Sequence[Question]) -> tuple[Cell, ...]:
    """Return a cell of each layer and algorithm as the user named it: in the scope's own width and options."""
    from seqscale.verdicts.catalogue import CLAIMS

    found: dict[tuple[str, str], tuple[bool, Cell]] = {}
    for question in asked:
        for cell in CLAIMS[question.claim].requires(question):
            if not cell.of_layer:
                continue
            own = (cell.width, cell.options) == (question.scope.width, question.scope.options)
            key = (cell.layer, cell.algorithm)
            if key not in found or (own and not found[key][0]):
                found[key] = (own, cell)
    return tuple(cell for _, cell in found.values())


def _undecided_cells(store: Store, asked: Sequence[Question]) -> frozenset[str]:
    """Return the cells of questions that more rounds may decide."""
    from seqscale.pages import judge
    from seqscale.verdicts.base import Reason
    from seqscale.verdicts.catalogue import CLAIMS

    judged = zip(asked, judge(asked, store.table()), strict=True)
    return frozenset(
        cell.id
        for question, found in judged
        if found.reason is Reason.noise
        for cell in CLAIMS[question.claim].requires(question)
        if cell.probe == "time"
    )


def _write_report(page: Page, out: Path) -> None:
    from seqscale.reporting.html import report as html

    try:
        out.write_text(html(page), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{out}: cannot be written ({error.strerror}); name another file.") from error


def _check_report(out: Path) -> None:
    """Raise UsageError where a report cannot go: no folder, or a file that is something else and would be lost."""
    if not out.parent.is_dir():
        raise UsageError(f"{out}: there is no directory {out.parent}; make it, or name another file for the report.")
    if out.is_dir():
        raise UsageError(f"{out} is a directory: name a file for the report.")
    if out.exists() and out.read_bytes()[:15].lower() not in (b"", b"<!doctype html>"):
        raise UsageError(f"{out} exists and is no report: name another file, it would be overwritten.")
