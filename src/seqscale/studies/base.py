"""A study: which claims are asked of which layers, at which size, and in which order the cells are measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from seqscale.records import Block, Cell, Effort, LayerSpec, Option, Question, Scope
from seqscale.verdicts.base import AbstractClaim, Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """The size of a study; the claims and layers come with the request.

    Attributes:
        name, sentence: for `seqscale list studies`.
        lengths: lengths of the default algorithm, rising.
        widths: widths of the stream; each gives questions of its own.
        state_width: width of the stream at which claims on widening are asked; they multiply it by 8 and 16.
        token_width: width of the stream at which claims on what a state remembers are asked.
        unasked: algorithms that are asked for only when the user names layers.
        unasked_layers: layers that are asked about only when the user names them.
        costed: the layers whose time, memory and counts are asked for when the user names none; empty: all.
        extent: how far the claims that register their own cells go (records.EXTENTS).
        loop_lengths, loop_lengths_attention: lengths at which a Python loop over `step` is measured; attention's loop
            costs T^2 copies.
        launcher: "fork" (one prepared parent) or "fresh" (a new process for each launch).
        efforts: probe -> how hard its cells are measured.
        claims: ids of the claims it is about; empty: all.
    """

    name: str
    sentence: str
    lengths: tuple[int, ...]
    widths: tuple[int, ...]
    state_width: int
    token_width: int
    costed: tuple[str, ...]
    unasked: tuple[str, ...]
    unasked_layers: tuple[str, ...]
    extent: str
    loop_lengths: tuple[int, ...]
    loop_lengths_attention: tuple[int, ...]
    launcher: str
    efforts: Mapping[str, Effort]
    claims: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the user asked for; None means the study's own choice. `named`: whether the user named the layers."""

    layers: tuple[LayerSpec, ...]
    named: bool
    algorithms: Mapping[str, tuple[str, ...]]  # layer name -> the algorithms the user named, if any
    claims: tuple[AbstractClaim, ...]
    machine: str
    torch: str
    lengths: tuple[int, ...] | None = None
    width: int | None = None
    batch: int = 1
    dtype: str = "float32"
    device: str = "cpu"
    threads: int = 1
    seed: int = 0
    options: tuple[tuple[str, Option], ...] = ()


def questions(study: Study, request: Request) -> tuple[Question, ...]:
    """Return every question of the study: claim by claim, layer by layer, each algorithm and width."""
    return tuple(
        Question(
            claim=claim.id, layer=layer, algorithm=algorithm, scope=_scope(study, request, layer, algorithm, width)
        )
        for claim in request.claims
        if not study.claims or claim.id in study.claims
        for layer in _layers(study, request, claim)
        for algorithm in _algorithms(study, request, layer, claim)
        for width in _widths(study, request, claim)
    )


def _layers(study: Study, request: Request, claim: AbstractClaim) -> tuple[LayerSpec, ...]:
    if claim.subject is not None:
        return (claim.subject,)
    asked = tuple(layer for layer in request.layers if claim.applies(layer))
    if request.named:
        return asked
    chosen = study.costed if claim.costs and study.costed else [layer.name for layer in asked]
    return tuple(layer for layer in asked if layer.name in chosen and layer.name not in study.unasked_layers)


def _widths(study: Study, request: Request, claim: AbstractClaim) -> tuple[int, ...]:
    match claim.stream:
        case Stream.widened:
            return (min(study.state_width, request.width or study.state_width),)
        case Stream.tokens:
            return (request.width or study.token_width,)
        case Stream.study:
            return (request.width,) if request.width else study.widths


def _algorithms(study: Study, request: Request, layer: LayerSpec, claim: AbstractClaim) -> tuple[str, ...]:
    named = request.algorithms.get(layer.name)
    if claim.every_algorithm:
        left_out = () if request.named else study.unasked
        return named or tuple(name for name in layer.algorithms if name not in left_out)
    return named[:1] if named else (layer.fastest or layer.algorithms[0],)


def _scope(study: Study, request: Request, layer: LayerSpec, algorithm: str, width: int) -> Scope:
    lengths = request.lengths or study.lengths
    if algorithm == "reference" and layer.name not in request.algorithms:
        loop = study.loop_lengths_attention if layer.family == "attention" else study.loop_lengths
        lengths = loop if request.lengths is None else tuple(n for n in lengths if n <= loop[-1]) or lengths[:1]
    return Scope(
        lengths=lengths,
        width=width,
        batch=request.batch,
        dtype=request.dtype,
        device=request.device,
        threads=request.threads,
        seed=request.seed,
        # CUDA cannot be initialised in a fork of a process that might have touched it.
        launcher="fresh" if request.device != "cpu" else study.launcher,
        machine=request.machine,
        torch=request.torch,
        options=_options(request, layer),
        extent=study.extent,
    )


def _options(request: Request, layer: LayerSpec) -> tuple[tuple[str, Option], ...]:
    """Options belong to the user's own layers; to those of the catalogue only where no own layer is named."""
    own_named = any(other.family == "own" for other in request.layers)
    return request.options if layer.family == "own" or not own_named else ()


def blocks(study: Study, asked: Sequence[Question], claims: Mapping[str, AbstractClaim]) -> tuple[Block, ...]:
    """Return the cells of all questions, each once, in blocks that are measured together.

    What untrained layers remember comes first; then the counts (cheap, they decide claims at once), the machine's
    ceilings, forward and decode times, memory, training times; what is trained comes last. Cells of one mode, one
    widening and one number of threads share a block, so that rivals meet in the same rounds.
    """
    narrowest = min((question.scope.width for question in asked), default=1)
    groups: dict[_Group, dict[str, Cell]] = {}
    for question in asked:
        for cell in claims[question.claim].requires(question):
            group = _group(cell, question.scope, narrowest)
            groups.setdefault(group, {}).setdefault(cell.id, cell)
    return tuple(
        Block(cells=tuple(groups[group].values()), effort=study.efforts[group.probe])
        for group in sorted(groups, key=_rank)
    )


# What is measured first: what needs no training, the layers' costs, what is trained.
ORDER = (
    ("calibration", "memory-curve", "fisher-memory", "token-bits", "segments", "gradient-horizon"),
    ("count", "schedule", "ceiling", "time", "memory"),
    ("recall", "truncation", "state-ceiling", "copy-memory", "adding"),
)


class _Group(NamedTuple):
    """What the cells of a block have in common."""

    probe: str
    mode: str
    widened: bool
    width: int  # of the questions
    threads: int


def _group(cell: Cell, scope: Scope, narrowest: int) -> _Group:
    if not cell.of_layer:  # the same machine whatever the width of the question, measured once
        return _Group(cell.probe, cell.mode, False, narrowest, cell.threads)
    widened = dict(cell.options) != dict(scope.options) or cell.width != scope.width
    return _Group(cell.probe, cell.mode, widened, scope.width, cell.threads)


def _rank(group: _Group) -> tuple[object, ...]:
    """Return what the blocks are sorted by: first come, first measured."""
    late = group.mode == "training" and group.probe == "time"
    band, order = next((band, probes.index(group.probe)) for band, probes in enumerate(ORDER) if group.probe in probes)
    modes = ("forward", "decode", "training").index(group.mode)
    return (band, group.width, late, order, group.widened, modes, group.threads)


def harder(effort: Effort) -> Effort:
    """Return the effort that `--until` buys: more rounds to a finer interval, and no limit to one cell's share."""
    return replace(
        effort,
        min_rounds=2 * effort.min_rounds,
        max_rounds=4 * effort.max_rounds,
        half_width=effort.half_width / 2,
        cell_s=3600.0,
        call_s=600.0,
    )
