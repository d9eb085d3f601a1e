"""`seqscale.trace`: the exact laws of a layer that the user names, or of a module that they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seqscale.errors import UsageError
from seqscale.records import MODES, Option

if TYPE_CHECKING:  # imported where they are used, so that importing seqscale stays instant
    from torch import nn

    from seqscale.records import LayerSpec
    from seqscale.surveys.counting import Subject
    from seqscale.surveys.survey import Survey

LENGTHS = (512, 4096, 65536, 2**20)
ASKED_MODES = ("forward", "training")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The laws of a layer, one survey for each mode."""

    surveys: tuple[Survey, ...]

    def text(self) -> str:
        """Return the laws for a person."""
        from seqscale.surveys.text import survey_text

        return "\n".join(survey_text(found) for found in self.surveys)

    def record(self) -> dict[str, Any] | list[dict[str, Any]]:
        """Return the laws JSON-ready: one object where one mode was asked for, else a list of them."""
        from seqscale.surveys.text import survey_record

        records = [survey_record(found) for found in self.surveys]
        return records[0] if len(records) == 1 else records


def trace(
    layer: str | nn.Module,
    *,
    algorithm: str | None = None,
    mode: str | None = None,
    lengths: Sequence[int] = (),
    width: int = 64,
    batch: int = 1,
    dtype: str = "float32",
    device: str = "cpu",
    options: Sequence[tuple[str, Option]] = (),
) -> Trace:
    """Count a layer on its operation graph at small sizes, solve the laws, and verify them where they were not solved.

    Args:
        layer: catalogue name, `path.py:Name` or `module:Name`, as in `run`; or a module that maps (b, t, d) to
            (b, t, d) or ((b, t, d), state), of which only length and batch can be varied: `width` is then its d.
        algorithm: None: the layer's first.
        mode: forward, training or decode; None: forward and training.
        lengths: at which counts are given; none: 512 to 2^20.
        width, batch, dtype, device, options: as in `measure`.

    Raises:
        UsageError: a name or number that cannot be.
        UnsupportedError: the layer has no such mode, or neither a trace nor a real run can be had.
    """
    from seqscale.request import resolve
    from seqscale.surveys.counting import Size
    from seqscale.surveys.survey import survey

    if mode is not None and mode not in MODES:
        raise UsageError(f"--mode {mode}: must be one of {', '.join(MODES)}.")
    lengths = tuple(sorted(set(lengths))) or LENGTHS
    named = layer if isinstance(layer, str) else None
    request = resolve(
        layers=() if named is None else (named,), lengths=lengths, width=width, batch=batch, dtype=dtype,
        algorithm=algorithm if named else None, device=device, options=tuple(options) if named else (),
    )  # fmt: skip
    if isinstance(layer, str):
        spec = request.layers[0]
        chosen = request.algorithms.get(spec.name, spec.algorithms)[0]
        subject = _named(spec, chosen, width, dtype, device, dict(options))
        other = "reference" in spec.algorithms and chosen != "reference"
        reference = _named(spec, "reference", width, dtype, device, dict(options)) if other else None
    else:
        subject, reference = _held(layer, width, dtype, device), None
    asked = Size(lengths[-1], batch, subject.width, subject.hidden)
    modes = ASKED_MODES if mode is None else (mode,)
    return Trace(surveys=tuple(survey(subject, each, asked, lengths, reference) for each in modes))


def _named(
    spec: LayerSpec, algorithm: str, width: int, dtype: str, device: str, options: Mapping[str, Option]
) -> Subject:
    """Return a layer by name; its width can be varied, and its state's where it has an option for that."""
    from seqscale.layers.base import whole
    from seqscale.layers.build import build
    from seqscale.surveys.counting import Subject

    widens = spec.widen == "hidden"
    asked = whole("hidden", options.get("hidden", width), at_least=1) if widens else width

    def make(width: int, hidden: int) -> nn.Module:
        wide = {"hidden": hidden} if widens else {}
        return build(spec.target, spec.family, width, {**options, **wide}, algorithm, dtype, device, 0).module

    return Subject(
        name=spec.name, algorithm=algorithm, build=make, width=width, hidden=asked,
        varies=True, dtype=dtype, device=device,
    )  # fmt: skip


def _held(module: nn.Module, width: int, dtype: str, device: str) -> Subject:
    """Return a module that is built already: it has the width that it has."""
    from seqscale.surveys.counting import Subject

    return Subject(
        name=type(module).__name__, algorithm="own", build=lambda width, hidden: module, width=width, hidden=width,
        varies=False, dtype=dtype, device=device,
    )  # fmt: skip
