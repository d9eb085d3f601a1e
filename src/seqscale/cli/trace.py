"""`seqscale trace`: the exact laws of a layer, nothing executed."""

from __future__ import annotations

from typing import Annotated

import typer

from seqscale.cli import parse
from seqscale.cli.output import print_json
from seqscale.cli.shared import Batch, Device, Dtype, Json, Options, Width


def trace(
    layer: Annotated[str, typer.Argument(help="Catalogue name, path.py:Name or module:Name.")],
    algorithm: Annotated[
        str | None, typer.Option("--algorithm", help="See `seqscale list algorithms`; default: the layer's first.")
    ] = None,
    mode: Annotated[
        str | None, typer.Option("--mode", help="forward, training or decode. Default: forward and training.")
    ] = None,
    length: Annotated[
        list[str] | None,
        typer.Option("--length", metavar="T", help="Lengths to print counts at: 512, or 64:4096; may be repeated."),
    ] = None,
    width: Width = 64,
    batch: Batch = 1,
    dtype: Dtype = "float32",
    device: Device = "cpu",
    option: Options = None,
    json: Json = False,
) -> None:
    """Print the exact laws of a layer's work, span and memory over length, batch and width; nothing is executed."""
    from seqscale.surveys.verb import trace as run

    found = run(
        layer,
        algorithm=algorithm,
        mode=mode,
        lengths=tuple(sorted({n for text in length or () for n in parse.lengths(text, "--length") or ()})),
        width=width,
        batch=batch,
        dtype=dtype,
        device=device,
        options=parse.options(option),
    )
    if json:
        print_json(found.record())
    else:
        print(found.text(), end="")
