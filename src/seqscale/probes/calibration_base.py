"""What the checks of the calibration share: comparisons of what is measured with what is known, and the cells asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqscale.layers.catalogue import LAYERS
from seqscale.probes.catalogue import PROBES
from seqscale.probes.replicates import Replicate
from seqscale.records import Cell, Option

Floats = npt.NDArray[np.float64]

SIGMAS = 4.0  # standard errors that chance may be off


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One number that was measured, and what it must be.

    Attributes:
        what: in words.
        measured, known: in the same unit.
        allowed: how far they may be apart, positive.
    """

    what: str
    measured: float
    known: float
    allowed: float

    @property
    def error(self) -> float:
        """The distance over what is allowed."""
        return abs(self.measured - self.known) / self.allowed


Check = Callable[[Cell], Sequence[Comparison]]


def asked(
    cell: Cell, probe: str, layer: str, length: int, width: int, options: Mapping[str, Option], **given: Option
) -> Cell:
    """Return the cell that a check asks of a probe, on the device and with the seed of the check's own cell."""
    spec, kind = PROBES[probe], LAYERS[layer]
    return dataclasses.replace(
        cell,
        probe=probe,
        probe_version=spec.version,
        layer=layer,
        layer_version=kind.version,
        target=kind.target,
        options=tuple(sorted(options.items())),
        algorithm=kind.fastest or kind.algorithms[0],
        mode=spec.modes[0],
        length=length,
        width=width,
        conditions=spec.settle(given, length, width),
    )


def between(what: str, measured: float, low: float, high: float, allowed: float) -> Comparison:
    """Return the comparison with the nearest of all numbers from low to high."""
    return Comparison(what=what, measured=measured, known=float(np.clip(measured, low, high)), allowed=allowed)


def curve(replicate: Replicate, name: str) -> Floats:
    """Return the values of a replicate's curve."""
    return np.asarray(replicate.curves[name].values, dtype=np.float64)
