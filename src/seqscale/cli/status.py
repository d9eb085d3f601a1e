"""`seqscale status`: what of a store is done, left and failed."""

from __future__ import annotations

from seqscale.cli.output import print_json
from seqscale.cli.shared import DEFAULT_STORE, Json, StoreArgument


def status(store: StoreArgument = DEFAULT_STORE, json: Json = False) -> None:
    """Say which cells are measured, which are left, and which failed and why."""
    from seqscale import api

    found = api.status(store)
    if json:
        print_json(found.record())
    else:
        print(found.text())
