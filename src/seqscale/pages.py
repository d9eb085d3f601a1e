"""From a store to the page that screen, report and files show: the desk half in one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from seqscale.engine.forecast import START_S, Forecast
from seqscale.errors import UsageError
from seqscale.records import Question
from seqscale.reporting.model import Page
from seqscale.rows import Table
from seqscale.store.store import Store
from seqscale.studies.base import harder
from seqscale.studies.catalogue import find
from seqscale.verdicts.base import Judgement, Reason
from seqscale.verdicts.catalogue import CLAIMS
from seqscale.verdicts.common import noise_floor


def judge(asked: Sequence[Question], table: Table) -> tuple[Judgement, ...]:
    """Judge each question by its claim, in order."""
    return tuple(CLAIMS[question.claim].judge(question, table) for question in asked)


def page_of(store: Store, study: str, asked: Sequence[Question]) -> Page:
    """Return the page of these questions from an open store."""
    cells = {cell.id: cell for question in asked for cell in CLAIMS[question.claim].requires(question)}
    table = store.table(cells.values())
    runs = [found for found in store.runs() if found.study == study]
    last = runs[-1]
    found = judge(asked, table)
    return Page(
        study=study,
        date=last.started[:10],
        wall_s=sum(found.wall_s or 0.0 for found in runs),
        machine=last.machine,
        versions=last.versions,
        questions=tuple(asked),
        judgements=found,
        claims=CLAIMS,
        table=table,
        notes=_notes(store, table),
        noise_floor=noise_floor(table),
        costs=_costs(study, asked, found, table),
    )


def _costs(study: str, asked: Sequence[Question], found: Sequence[Judgement], table: Table) -> dict[str, float]:
    """Return claim -> the seconds that `--until` would probably take, where more measurement can decide it."""
    forecast = Forecast()
    for row in table:
        for sample in row.observations["time"].samples if "time" in row.observations else ():
            forecast.learn(row.cell, sample)
    efforts = {probe: harder(effort) for probe, effort in find(study).efforts.items()}
    wanted: dict[str, dict[str, float]] = {}
    # noise is bought down by all the rounds there are, a missing cell by the least
    most = {probe: replace(effort, min_rounds=effort.max_rounds) for probe, effort in efforts.items()}
    for question, judged in zip(asked, found, strict=True):
        if judged.reason is Reason.budget:
            cells = judged.missing
        elif judged.reason is Reason.noise:
            cells = tuple(c for c in CLAIMS[judged.claim].requires(question) if c.probe == "time")
        else:
            continue
        effort = most if judged.reason is Reason.noise else efforts
        seconds = {cell.id: forecast.seconds(cell, effort[cell.probe]) for cell in cells}
        wanted.setdefault(judged.claim, {}).update(seconds)
    return {claim: START_S + sum(seconds.values()) for claim, seconds in wanted.items()}


def _notes(store: Store, table: Table) -> tuple[str, ...]:
    """Return what the gate said of the layers, each once."""
    layers = {row.cell.gate_key: row.cell.layer for row in table}
    records = ((layer, store.gate(key)) for key, layer in layers.items())
    notes = (f"{layer}: {note}" for layer, record in records if record for note in record.report.get("notes", ()))
    return tuple(dict.fromkeys(notes))


def stored_page(store: str | Path) -> Page:
    """Return the page of the study that ran last on a store."""
    with Store.open(store) as kept:
        runs = kept.runs()
        if not runs:
            raise UsageError(f"{store} holds no run yet: fill it with `seqscale run --store {store}`.")
        study = runs[-1].study
        return page_of(kept, study, [question for name, question in kept.questions() if name == study])
