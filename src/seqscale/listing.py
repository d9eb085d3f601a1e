"""What there is to measure, to measure with, and to ask: the verb `list`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from seqscale.units import quantity

if TYPE_CHECKING:  # imported where they are used, so that importing seqscale stays instant
    from seqscale.probes.spec import ProbeSpec
    from seqscale.verdicts.base import AbstractClaim


def list(what: str) -> tuple[Mapping[str, str], ...]:
    """Return name and sentence of all layers, algorithms, probes, claims or studies."""
    from seqscale.errors import UnknownNameError
    from seqscale.layers.catalogue import LAYERS
    from seqscale.probes.catalogue import PROBES
    from seqscale.studies.catalogue import STUDIES
    from seqscale.verdicts.catalogue import CLAIMS

    found: dict[str, Iterable[tuple[str, str]]] = {
        "layers": ((layer.name, layer.sentence) for layer in LAYERS.values()),
        "algorithms": (
            (f"{layer.name}/{name}", "the default" if name == layer.algorithms[0] else "named with the layer")
            for layer in LAYERS.values()
            for name in layer.algorithms
        ),
        "probes": ((probe.name, _yields(probe)) for probe in PROBES.values()),
        "claims": ((claim.id, _registration(claim)) for claim in CLAIMS.values()),
        "studies": ((study.name, study.sentence) for study in STUDIES.values()),
    }
    if what not in found:
        raise UnknownNameError("list", what, found)
    return tuple({"name": name, "sentence": sentence} for name, sentence in found[what])


def _yields(probe: ProbeSpec) -> str:
    """Return what a probe does, in which modes, what each of its quantities means, and what it fixes."""
    meanings = "; ".join(f"{name}: {quantity(name).meaning}" for name in probe.quantities)
    conditions = "; ".join(condition.text() for condition in probe.conditions)
    fixed = f" Conditions: {conditions}." if conditions else ""
    return f"{probe.sentence} ({', '.join(probe.modes)}). {meanings}.{fixed}"


def _registration(claim: AbstractClaim) -> str:
    """Return a claim as it was written down before its first run, with the number of cells it needs in each study."""
    from seqscale.request import resolve
    from seqscale.studies.base import blocks, questions
    from seqscale.studies.catalogue import STUDIES

    request = resolve(claims=(claim.id,))
    counts = (
        f"{study.name} {sum(len(b.cells) for b in blocks(study, questions(study, request), {claim.id: claim}))}"
        for study in STUDIES.values()
    )
    said = f"{claim.kind.name}: {claim.estimand}; delta {claim.delta:g}; cells: {', '.join(counts)}"
    return f"{claim.sentence} [{said}]"
