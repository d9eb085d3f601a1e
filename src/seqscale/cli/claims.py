"""`seqscale claims`: the verdicts of a store."""

from __future__ import annotations

from seqscale.cli.output import print_json
from seqscale.cli.shared import DEFAULT_STORE, Claims, Json, StoreArgument


def claims(store: StoreArgument = DEFAULT_STORE, claims: Claims = None, json: Json = False) -> None:
    """Judge the claims that the store was filled for, and print the verdicts with their numbers."""
    from seqscale import api
    from seqscale.reporting.terminal import claims_text
    from seqscale.verdicts.catalogue import CLAIMS

    judgements = api.claims(store, claims=claims or ())
    if json:
        print_json([judgement.record() for judgement in judgements])
    else:
        print(claims_text(judgements, CLAIMS))
