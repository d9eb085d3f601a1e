"""What the user wrote, resolved: names to layers and claims, numbers checked; every refusal names the cure."""

from __future__ import annotations

from collections.abc import Sequence

from seqscale.engine.machine import this_machine, versions
from seqscale.errors import UsageError
from seqscale.layers import catalogue
from seqscale.records import DTYPES, LayerSpec, Option
from seqscale.studies.base import Request
from seqscale.verdicts.catalogue import CLAIMS, find

LONGEST = 2**31 - 1  # torch's sizes of a dimension in many kernels


def resolve(
    *,
    layers: Sequence[str] = (),
    lengths: tuple[int, ...] | None = None,
    width: int | None = None,
    batch: int = 1,
    dtype: str = "float32",
    algorithm: str | None = None,
    device: str = "cpu",
    threads: int = 1,
    seed: int = 0,
    options: tuple[tuple[str, Option], ...] = (),
    claims: Sequence[str] = (),
) -> Request:
    """Resolve every name and number, or raise UsageError."""
    machine = this_machine()
    for name, value in (("--width", width), ("--batch", batch), ("--threads", threads)):
        if value is not None and value < 1:
            raise UsageError(f"{name} {value}: must be a whole number >= 1.")
    for length in lengths or ():
        if not 1 <= length <= LONGEST:
            raise UsageError(f"length {length}: must be a whole number from 1 to {LONGEST:,}.")
    if dtype not in DTYPES:
        raise UsageError(f"--dtype {dtype}: must be one of {', '.join(DTYPES)}.")
    if device not in ("cpu", "cuda"):
        raise UsageError(f"--device {device}: must be cpu or cuda.")
    if device == "cuda" and not machine.gpus:
        raise UsageError("--device cuda: this machine's driver lists no NVIDIA GPU; use --device cpu.")
    if threads > machine.cores:
        raise UsageError(f"--threads {threads}: this process may use {machine.cores} cores; ask for no more.")
    if options and not layers:
        raise UsageError("--option belongs to a layer: name it with --layer.")
    if len(set(layers)) != len(layers):
        raise UsageError("a layer is named twice; name each once.")
    found: dict[str, LayerSpec] = {}
    named: dict[str, tuple[str, ...]] = {}
    bare: set[str] = set()
    for text in layers or tuple(catalogue.LAYERS):
        place, own = catalogue.split(text)
        spec = catalogue.find(place)
        found[spec.name] = spec
        if own or algorithm:
            named[spec.name] = (*named.get(spec.name, ()), catalogue.choose(spec, own or algorithm))
        else:
            bare.add(spec.name)
    return Request(
        layers=tuple(found.values()),
        named=bool(layers),
        algorithms={name: chosen for name, chosen in named.items() if name not in bare},
        claims=tuple(find(name) for name in claims) or tuple(CLAIMS.values()),
        machine=machine.fingerprint,
        torch=versions()["torch"],
        lengths=lengths,
        width=width,
        batch=batch,
        dtype=dtype,
        device=device,
        threads=threads,
        seed=seed,
        options=options,
    )
