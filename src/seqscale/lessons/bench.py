"""Cells for the lessons, measured by the engine like those of a study; nothing is kept."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seqscale.lessons.base import Watch
from seqscale.lessons.constants import LessonConstants
from seqscale.records import Block, Cell, Effort, LayerSpec, Option, Question, Scope
from seqscale.rows import Row, Table

KATA_NETWORK = "seqscale.lessons.network:kata_network"
KATA_LABEL = "the kata's network"
KATA = "the kata: the teaching program that `seqscale kata` replays"
KATA_WEIGHTS = "plain recurrence with the kata's own weights, never trained"
ONCE = Effort(min_rounds=1, max_rounds=1, cell_s=120.0, call_s=120.0)  # of what rounds would not change


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A layer that a lesson looks at, and the algorithm that computes it; `label` is how it is shown."""

    spec: LayerSpec
    algorithm: str
    label: str
    options: tuple[tuple[str, Option], ...]


def looked_at(constants: LessonConstants, own: Sequence[str]) -> tuple[Looked, ...]:
    """Return the layers to look at, those that the person named or else the lesson's own; UsageError for a name."""
    from seqscale.request import resolve

    request = resolve(layers=constants.layer or own)
    found = []
    for spec in request.layers:
        named = request.algorithms.get(spec.name)
        algorithm = named[0] if named else spec.fastest or spec.algorithms[0]
        label = KATA_LABEL if spec.target == KATA_NETWORK else spec.name.rpartition("/")[2]
        found.append(Looked(spec=spec, algorithm=algorithm, label=label, options=_options(spec, constants)))
    return tuple(found)


def legend(looked: Sequence[Looked]) -> tuple[str, ...]:
    """Say in a line each what the kata is and what the layers are."""
    told = {one.label: one.spec.sentence.partition(" (option")[0] for one in looked} | {KATA_LABEL: KATA_WEIGHTS}
    return (KATA, *(f"{one.label}: {told[one.label]}" for one in looked))


def _options(spec: LayerSpec, constants: LessonConstants) -> tuple[tuple[str, Option], ...]:
    """Return the options that give a layer the kata's sizes; a person's own layer is built from the width alone."""
    kata = constants.kata
    hidden: tuple[tuple[str, Option], ...] = (("hidden", kata.hidden_size),)
    if spec.target == KATA_NETWORK:
        return (
            *hidden, ("scale_h", kata.scale_h), ("scale_x", kata.scale_x), ("seed_h", kata.seed_h),
            ("seed_x", kata.seed_x),
        )  # fmt: skip
    return hidden if spec.widen == "hidden" else ()


def scope(layer: Looked, constants: LessonConstants, lengths: tuple[int, ...]) -> Scope:
    """Return the kata's sizes, one sequence at a time on one thread."""
    from seqscale.request import resolve

    here = resolve()
    return Scope(
        lengths=lengths, width=constants.kata.input_size, batch=1, dtype="float32", device="cpu", threads=1,
        seed=constants.seed, launcher="fork", machine=here.machine, torch=here.torch, options=layer.options,
    )  # fmt: skip


def asked(claim: str, layer: Looked, constants: LessonConstants, lengths: tuple[int, ...]) -> Question:
    """Return a claim asked of a layer at the kata's sizes."""
    return Question(claim=claim, layer=layer.spec, algorithm=layer.algorithm, scope=scope(layer, constants, lengths))


def cell(
    probe: str,
    layer: Looked,
    constants: LessonConstants,
    length: int,
    algorithm: str | None = None,
    **conditions: Option,
) -> Cell:
    """Return a cell at the kata's sizes.

    Args:
        probe: its name. layer: what it measures, by its own algorithm unless `algorithm` is given.
        constants: of the lesson.
        length: tokens.
        conditions: of the probe.

    Raises:
        UsageError: a condition that the probe cannot have.
    """
    from seqscale.probes.catalogue import PROBES

    spec, here = PROBES[probe], scope(layer, constants, (length,))
    return here.cell(
        probe, spec.version, layer.spec, algorithm=algorithm or layer.algorithm, mode=spec.modes[0], length=length,
        conditions=spec.settle(conditions, length, here.width),
    )  # fmt: skip


def measured(cells: Sequence[Cell], effort: Effort, watch: Watch) -> Table:
    """Measure cells now, those of one probe together, and return what became of each; nothing is stored.

    Raises:
        UsageError: a layer that does not import or cannot be called so.
    """
    from seqscale.engine.local import LocalEngine
    from seqscale.store.store import Store

    probes = dict.fromkeys(cell.probe for cell in cells)
    blocks = [Block(cells=tuple(c for c in cells if c.probe == probe), effort=effort) for probe in probes]
    with tempfile.TemporaryDirectory() as folder, Store.writer(Path(folder) / "lesson.db") as kept:
        engine = LocalEngine(kept, Path(folder) / "log", watch=watch, decided=lambda: None)
        engine.admit(cells)
        engine.run(blocks)
        return kept.table(cells)


def gap(row: Row) -> str:
    """Say in a line why a cell has no number."""
    assert row.outcome is not None
    return f"{row.cell.layer}/{row.cell.algorithm}, {row.cell.length:,} tokens: {row.outcome.reason}"
