"""The probes by name, without torch: what each yields, and the version that enters every cell's identity."""

from __future__ import annotations

from seqscale.errors import UnknownNameError
from seqscale.probes.information import CALIBRATION, CHECKS, INFORMATION
from seqscale.probes.spec import ProbeSpec
from seqscale.records import INSTRUMENT_NAME, MACHINE_NAME, LayerSpec

PROBES = {
    p.name: p
    for p in (
        ProbeSpec(
            name="time",
            version=1,
            modes=("forward", "training", "decode"),
            quantities=("time", "first_call_time"),
            sentence="wall time of one call, in interleaved rounds",
        ),
        ProbeSpec(
            name="memory",
            version=2,
            modes=("forward", "training"),
            quantities=(
                "predicted_peak_bytes",
                "saved_bytes",
                "measured_peak_bytes",
                "node_bytes",
                "unexplained_bytes",
                "graph_nodes",
            ),
            sentence="peak memory, predicted without running and measured",
        ),
        ProbeSpec(
            name="count",
            version=2,
            modes=("forward", "training", "decode"),
            quantities=(
                "work",
                "traffic_bytes",
                "kernels",
                "kernel_span",
                "ideal_span",
                "saved_bytes",
                "predicted_peak_bytes",
                "graph_nodes",
                "state_elements",
                "state_bytes",
            ),
            sentence="exact counts: of a call on its operation graph, nothing executed; of a state on the state",
        ),
        ProbeSpec(
            name="schedule",
            version=1,
            modes=("forward",),
            quantities=("kernels", "work", "ideal_span"),
            sentence="the kernels of a short sequence, what each does and waits for; nothing executed",
        ),
        ProbeSpec(
            name="ceiling",
            version=1,
            modes=("forward",),
            quantities=("flop_rate", "bandwidth", "dispatch_time", "dependent_step_time", "barrier_time"),
            sentence="what this machine can do at best, by kernels of known cost, in interleaved rounds",
            subject="machine",
        ),
        *INFORMATION,
        CALIBRATION,
    )
}


MACHINE = LayerSpec(
    name=MACHINE_NAME,
    target="seqscale.probes.ceiling:CeilingProbe",
    version="1",
    family=MACHINE_NAME,
    algorithms=("product", "stream", "dispatch", "step", "barrier"),
    widen=None,
    sentence="this machine itself, which the probe `ceiling` measures in place of a layer",
)

INSTRUMENT = LayerSpec(
    name=INSTRUMENT_NAME,
    target="seqscale.probes.calibration:CalibrationProbe",
    version="1",
    family=INSTRUMENT_NAME,
    algorithms=tuple(CHECKS),
    widen=None,
    sentence="an instrument itself, which the probe `calibration` asks what is known, in place of a layer",
)


def find(name: str) -> ProbeSpec:
    """Return the probe of that name, or raise UnknownNameError with the near ones."""
    if name not in PROBES:
        raise UnknownNameError("probe", name, PROBES)
    return PROBES[name]
