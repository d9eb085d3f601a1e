"""From a probe's name to the code that measures; the torch-free facts are in catalogue.py."""

from __future__ import annotations

from seqscale.probes.base import AbstractProbe
from seqscale.probes.catalogue import find
from seqscale.probes.ceiling import CeilingProbe
from seqscale.probes.count import CountProbe
from seqscale.probes.memory import MemoryProbe
from seqscale.probes.schedule import ScheduleProbe
from seqscale.probes.time import TimeProbe

_PROBES: dict[str, AbstractProbe] = {
    probe.name: probe for probe in (TimeProbe(), MemoryProbe(), CountProbe(), ScheduleProbe(), CeilingProbe())
}


def probe_of(name: str) -> AbstractProbe:
    """Return the probe of that name, or raise UnknownNameError with the near ones."""
    return _PROBES[find(name).name]
