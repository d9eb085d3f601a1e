"""Options that several verbs share, so that each is written and explained once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout; progress and warnings on stderr.")]
StoreArgument = Annotated[Path, typer.Argument(metavar="STORE", help="The store of a run.")]
Width = Annotated[int, typer.Option("--width", help="Width d of the stream.")]
Batch = Annotated[int, typer.Option("--batch", help="Sequences at once.")]
Dtype = Annotated[str, typer.Option("--dtype", help="float32, float64 or bfloat16.")]
Device = Annotated[str, typer.Option("--device", help="cpu or cuda.")]
Threads = Annotated[int, typer.Option("--threads", help="CPU threads, pinned.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of weights and inputs.")]
Claims = Annotated[list[str] | None, typer.Option("--claims", help="Only these claims; may be repeated.")]
Options = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="KEY=VALUE", help="An option of the layer (your own, if one is named)."),
]

DEFAULT_STORE = Path("seqscale.db")
DEFAULT_REPORT = Path("report.html")
