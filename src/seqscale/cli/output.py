"""How verbs print: JSON with a unit beside every number, or text."""

from __future__ import annotations

import json
from typing import Any


def print_json(document: Any) -> None:
    """Print one JSON document on stdout; NaN and infinity are refused, since JSON has none."""
    print(json.dumps(document, indent=1, allow_nan=False))
