"""`seqscale list`: what there is to measure, to measure with, and to ask."""

from __future__ import annotations

import textwrap
from typing import Annotated

import typer

from seqscale.cli.output import print_json
from seqscale.cli.shared import Json


def list_names(
    what: Annotated[str, typer.Argument(help="layers, algorithms, probes, claims or studies.")],
    json: Json = False,
) -> None:
    """List layers, algorithms, probes, claims or studies, each with a sentence."""
    from seqscale import listing

    entries = listing.list(what)
    if json:
        print_json([dict(entry) for entry in entries])
        return
    column = max(len(entry["name"]) for entry in entries) + 2
    for entry in entries:
        print(textwrap.fill(entry["name"].ljust(column) + entry["sentence"], 100, subsequent_indent=" " * column))
