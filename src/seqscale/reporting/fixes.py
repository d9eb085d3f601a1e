"""The kata's naive fixes: what each buys, what it costs, and what it cannot, from the verdicts of their claims."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from seqscale.reporting.model import Entry, Page, entries

COLUMNS = ("buys", "costs", "cannot")
# Each fix: column -> the claims that speak of it, in the words of the column.
FIXES: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "A wider state": {
        "buys": {"width.capacity-grows": "room: more bits are held"},
        "costs": {
            "width.work-quadruples": "four times the work a step",
            "width.time-quadruples": "four times the time a step",
        },
        "cannot": {"width.no-parallelism": "make steps run at once"},
    },
    "Truncated BPTT": {
        "buys": {"truncation.saves-memory": "memory: what training keeps shrinks"},
        "costs": {},
        "cannot": {"truncation.caps-learning": "learn beyond its window"},
    },
    "Segments with carried state": {
        "buys": {"segments.saves-memory": "memory: one segment is kept at a time"},
        "costs": {},
        "cannot": {
            "segments.funnel": "get past the fixed state",
            "segments.no-retrieval": "retrieve from earlier segments",
        },
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One claim on a fix: what the kata says in a few words, and what was found for each layer."""

    claim: str
    words: str
    entries: tuple[Entry, ...]


def fixes(page: Page) -> dict[str, dict[str, tuple[Finding, ...]]]:
    """Return fix -> column -> findings; only fixes that the page has a claim of."""
    asked = entries(page)
    found = {
        fix: {
            column: tuple(
                Finding(claim=claim, words=words, entries=asked[claim])
                for claim, words in columns[column].items()
                if claim in asked
            )
            for column in COLUMNS
        }
        for fix, columns in FIXES.items()
    }
    return {fix: columns for fix, columns in found.items() if any(columns.values())}
