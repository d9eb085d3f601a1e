"""Small cells of the probes of information, and what is measured of them, without a worker."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from seqscale import profiles
from seqscale.layers.catalogue import find
from seqscale.probes.catalogue import INSTRUMENT, PROBES
from seqscale.probes.registry import probe_of
from seqscale.records import Cell

OWN = Path(__file__).parent / "own" / "remembering.py"

SCOPE = {
    "batch": 1, "dtype": "float32", "device": "cpu", "threads": 1, "seed": 0, "launcher": "fork", "machine": "m",
    "torch": "t",
}  # fmt: skip


def cell(probe, layer, length, width, options=(), conditions=(), **scope):
    """Return the cell of a layer of the catalogue, or of a class in tests/own/remembering.py."""
    spec, kind = PROBES[probe], find(layer if layer.islower() else f"{OWN}:{layer}")
    fields = {
        "probe": probe, "probe_version": spec.version, "layer": kind.name, "layer_version": kind.version,
        "target": kind.target, "options": tuple(sorted(dict(options).items())), "mode": spec.modes[0],
        "algorithm": kind.fastest or kind.algorithms[0], "length": length, "width": width,
        "conditions": spec.settle(dict(conditions), length, width),
    }  # fmt: skip
    return Cell(**(SCOPE | fields | scope))


def instrument(check, **scope):
    """Return the cell of a check of the calibration."""
    fields = {
        "probe": "calibration", "probe_version": 1, "layer": INSTRUMENT.name, "layer_version": INSTRUMENT.version,
        "target": INSTRUMENT.target, "mode": "forward", "algorithm": check, "length": 1, "width": 1,
    }  # fmt: skip
    return Cell(**(SCOPE | fields | scope))


class Found:
    """What one cell left: values by quantity and replicate, curves and facts, and the note."""

    def __init__(self, asked):
        trial = probe_of(asked.probe).prepare(asked)
        self.readings = (*trial.first(), *trial.again())
        self.document, self.note = trial.document, trial.note
        read = profiles.read(trial.document)
        self.curves: Mapping[str, profiles.Profile] = read.curves
        self.facts = read.facts

    def values(self, quantity):
        """Return the values of a quantity, by replicate."""
        return [reading.value for reading in self.readings if reading.quantity == quantity]
