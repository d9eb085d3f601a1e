"""`seqscale run`: measure a study, show verdicts while it goes on, leave a store and a report."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from seqscale.cli import parse
from seqscale.cli.output import print_json
from seqscale.cli.shared import (
    DEFAULT_REPORT,
    DEFAULT_STORE,
    Batch,
    Claims,
    Device,
    Dtype,
    Json,
    Options,
    Seed,
    Threads,
)


def run(
    study: Annotated[str, typer.Argument(help="quick or full; see `seqscale list studies`.")] = "quick",
    layer: Annotated[
        list[str] | None,
        typer.Option("--layer", help="Catalogue name, path.py:Name or module:Name; gru/reference names an algorithm."),
    ] = None,
    lengths: Annotated[str | None, typer.Option("--lengths", help="64:65536 (doubling) or 64,100,1000.")] = None,
    width: Annotated[int | None, typer.Option("--width", help="Width d of the stream.")] = None,
    batch: Batch = 1,
    dtype: Dtype = "float32",
    algorithm: Annotated[str | None, typer.Option("--algorithm", help="Only this algorithm of each layer.")] = None,
    device: Device = "cpu",
    threads: Threads = 1,
    seed: Seed = 0,
    claims: Claims = None,
    until: Annotated[str | None, typer.Option("--until", help="Buy this claim's cells: no limit, finer.")] = None,
    budget: Annotated[str | None, typer.Option("--budget", help="Stop cleanly after 90s, 20m or 1h.")] = None,
    store: Annotated[Path, typer.Option("--store", help="The SQLite file to fill and to resume from.")] = DEFAULT_STORE,
    report: Annotated[Path, typer.Option("--report", help="Where to write the report.")] = DEFAULT_REPORT,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget this study's cells and measure them again.")] = False,
    option: Options = None,
    json: Json = False,
) -> None:
    """Measure a study and judge its claims. Resumes where an earlier run ended."""
    from seqscale import api
    from seqscale.cli.progress import live

    with live() as (watch, say):
        result = api.run(
            study,
            layers=layer or (),
            lengths=parse.lengths(lengths),
            width=width,
            batch=batch,
            dtype=dtype,
            algorithm=algorithm,
            device=device,
            threads=threads,
            seed=seed,
            options=parse.options(option),
            claims=claims or (),
            until=until,
            budget_s=parse.seconds(budget),
            store=store,
            report=report,
            fresh=fresh,
            watch=watch,
            say=say,
        )
    if json:
        print_json(result.record())
    else:
        print(result.text(again(sys.argv[1:])))


def again(words: list[str]) -> str:
    """Return the command as it was typed, without what --until replaces."""
    kept: list[str] = []
    skip = False
    for word in words:
        name, equals, _ = word.partition("=")
        if name in ("--claims", "--until", "--budget"):
            skip = not equals
        elif not skip and word not in ("--fresh", "--json", "--debug"):
            kept.append(word)
        else:
            skip = False
    return shlex.join(["seqscale", *kept])
