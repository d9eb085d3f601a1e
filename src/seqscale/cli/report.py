"""`seqscale report`: write the HTML report of a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seqscale.cli.output import print_json
from seqscale.cli.shared import DEFAULT_REPORT, DEFAULT_STORE, Json, StoreArgument


def report(
    store: StoreArgument = DEFAULT_STORE,
    out: Annotated[Path, typer.Option("--out", "-o", help="The HTML file to write.")] = DEFAULT_REPORT,
    json: Json = False,
) -> None:
    """Write one self-contained HTML file: verdicts, figures, tables. Needs no network and no torch."""
    from seqscale import api

    path = api.report(store, out)
    if json:
        print_json({"report": str(path)})
    else:
        print(f"Report: {path}")
