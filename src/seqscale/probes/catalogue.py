"""The probes by name, without torch: what each yields, and the version that enters every cell's identity."""

from __future__ import annotations

from dataclasses import dataclass

from seqscale.errors import UnknownNameError


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSpec:
    """What the desk knows of a probe; `version` rises when its numbers may change."""

    name: str
    version: int
    modes: tuple[str, ...]
    quantities: tuple[str, ...]
    sentence: str


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
            version=1,
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
            version=1,
            modes=("forward", "training", "decode"),
            quantities=("work", "saved_bytes", "predicted_peak_bytes", "graph_nodes", "state_elements", "state_bytes"),
            sentence="exact counts: of a call on its operation graph, nothing executed; of a state on the state",
        ),
    )
}


def find(name: str) -> ProbeSpec:
    """Return the probe of that name, or raise UnknownNameError with the near ones."""
    if name not in PROBES:
        raise UnknownNameError("probe", name, PROBES)
    return PROBES[name]
