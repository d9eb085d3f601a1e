"""From a probe's name to the code that measures; the torch-free facts are in catalogue.py."""

from __future__ import annotations

from seqscale.probes.adding import AddingProbe
from seqscale.probes.base import AbstractProbe
from seqscale.probes.calibration import CalibrationProbe
from seqscale.probes.catalogue import find
from seqscale.probes.ceiling import CeilingProbe
from seqscale.probes.copy_memory import CopyMemoryProbe
from seqscale.probes.count import CountProbe
from seqscale.probes.fisher_memory import FisherMemoryProbe
from seqscale.probes.gradient_horizon import GradientHorizonProbe
from seqscale.probes.memory import MemoryProbe
from seqscale.probes.memory_curve import MemoryCurveProbe
from seqscale.probes.recall import RecallProbe
from seqscale.probes.schedule import ScheduleProbe
from seqscale.probes.segments import SegmentsProbe
from seqscale.probes.state_ceiling import StateCeilingProbe
from seqscale.probes.time import TimeProbe
from seqscale.probes.token_bits import TokenBitsProbe
from seqscale.probes.truncation import TruncationProbe

_PROBES: dict[str, AbstractProbe] = {
    probe.name: probe
    for probe in (
        TimeProbe(),
        MemoryProbe(),
        CountProbe(),
        ScheduleProbe(),
        CeilingProbe(),
        MemoryCurveProbe(),
        FisherMemoryProbe(),
        TokenBitsProbe(),
        SegmentsProbe(),
        GradientHorizonProbe(),
        RecallProbe(),
        TruncationProbe(),
        StateCeilingProbe(),
        CopyMemoryProbe(),
        AddingProbe(),
        CalibrationProbe(),
    )
}


def probe_of(name: str) -> AbstractProbe:
    """Return the probe of that name, or raise UnknownNameError with the near ones."""
    return _PROBES[find(name).name]
