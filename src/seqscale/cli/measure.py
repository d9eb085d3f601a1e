"""`seqscale measure`: one cell, measured now."""

from __future__ import annotations

from typing import Annotated

import typer

from seqscale.cli import parse
from seqscale.cli.output import print_json
from seqscale.cli.shared import Batch, Device, Dtype, Json, Options, Seed, Threads, Width


def measure(
    probe: Annotated[str, typer.Argument(help="See `seqscale list probes`.")],
    layer: Annotated[str, typer.Argument(help="Catalogue name, path.py:Name or module:Name.")],
    algorithm: Annotated[
        str | None, typer.Option("--algorithm", help="See `seqscale list algorithms`; default: the layer's first.")
    ] = None,
    mode: Annotated[str | None, typer.Option("--mode", help="forward, training or decode.")] = None,
    length: Annotated[int, typer.Option("--length", help="Sequence length T; for decode the context.")] = 512,
    width: Width = 64,
    batch: Batch = 1,
    dtype: Dtype = "float32",
    device: Device = "cpu",
    threads: Threads = 1,
    seed: Seed = 0,
    option: Options = None,
    condition: Annotated[
        list[str] | None,
        typer.Option("--condition", metavar="KEY=VALUE", help="What the probe fixes; see `seqscale list probes`."),
    ] = None,
    json: Json = False,
) -> None:
    """Measure one cell and print every quantity with its interval."""
    from seqscale import api

    row = api.measure(
        probe,
        layer,
        algorithm=algorithm,
        mode=mode,
        length=length,
        width=width,
        batch=batch,
        dtype=dtype,
        device=device,
        threads=threads,
        seed=seed,
        options=parse.options(option),
        conditions=parse.options(condition, "--condition"),
    )
    if json:
        print_json(api.row_record(row))
    else:
        print(api.row_text(row))
