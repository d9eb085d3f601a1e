"""`seqscale export`: figures as SVG and PNG, tables as CSV."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seqscale.cli.output import print_json
from seqscale.cli.shared import DEFAULT_STORE, Json, StoreArgument


def export(
    store: StoreArgument = DEFAULT_STORE,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to fill.")] = Path("seqscale-export"),
    json: Json = False,
) -> None:
    """Write every figure as SVG and PNG and every table as CSV."""
    from seqscale import api

    files = api.export(store, out)
    if json:
        print_json({"files": [str(file) for file in files]})
    else:
        print(f"{len(files)} files in {out}")
