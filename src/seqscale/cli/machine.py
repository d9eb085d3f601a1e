"""`seqscale machine`: what this machine can do at best."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seqscale.cli import parse
from seqscale.cli.output import print_json
from seqscale.cli.shared import Device, Json


def machine(
    threads: Annotated[
        str | None,
        typer.Option(
            "--threads", help="Numbers of CPU threads, 1,2,4; default: 1, 2, 4 ... and all cores; 1 for a GPU."
        ),
    ] = None,
    device: Device = "cpu",
    store: Annotated[Path | None, typer.Option("--store", help="Keep the samples in this SQLite file.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure again what the store has.")] = False,
    json: Json = False,
) -> None:
    """Measure this machine's ceilings: product rate, bandwidth, cost of a kernel, of a step and of a barrier."""
    from seqscale import ceilings
    from seqscale.cli.progress import live

    with live() as (watch, _):
        found = ceilings.machine(threads=parse.counts(threads), device=device, store=store, fresh=fresh, watch=watch)
    if json:
        print_json(found.record())
    else:
        print(found.text())
