"""The error tree: what can go wrong, named once.

    SeqscaleError                what a user may see; its text names what they wrote, the cause and the cure
      UsageError                 a wrong name, number or file (exit 2)
        UnknownNameError         a name that no catalogue has; offers the near ones
        LayerLoadError           a user's layer that cannot be imported or built
      StoreError                 a store that cannot be opened or written (exit 2)
      UnsupportedError           a cell that this layer, algorithm or machine cannot run -> outcome `unsupported`
      RejectedError              a layer that failed the gate -> outcome `rejected`

Numerical failures of a measurement are not errors: they are outcomes (rows.OutcomeKind), rows like any other.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SeqscaleError(Exception):
    """Base of every error that seqscale raises on purpose."""


class UsageError(SeqscaleError):
    """The user asked for something that cannot be: a name, a number, a combination."""


class UnknownNameError(UsageError):
    """A name that is in no catalogue; the text offers the nearest ones.

    Args:
        kind: what was named, in the singular ("layer", "claim", "study", "probe").
        name: what the user wrote.
        known: the names that exist.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        cure = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}."
        super().__init__(f"unknown {kind} '{name}': {cure}")


class LayerLoadError(UsageError):
    """A user's layer that does not import, or that cannot be called as Name(width, **options)."""


class StoreError(SeqscaleError):
    """A store that is not ours, is newer, is read-only, is in use, or cannot be written."""


class UnsupportedError(SeqscaleError):
    """This layer, algorithm or machine cannot do what the cell asks; recorded as `unsupported`."""


class RejectedError(SeqscaleError):
    """The layer failed the gate; the text says which check, where, and by how much."""
