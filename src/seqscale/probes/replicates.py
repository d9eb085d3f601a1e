"""What the probes of information share: replicates, each with weights and data of its own, and their document."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from seqscale.errors import SeqscaleError
from seqscale.probes.base import AbstractTrial, Reading, Tell
from seqscale.probes.state import Carrier
from seqscale.profiles import Profile, written
from seqscale.records import Cell

_DATA = 0x5EED  # a stream of its own, apart from those of weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One replicate's values of a quantity against what x counts; fields as of profiles.Profile."""

    quantity: str
    by: str
    x: npt.ArrayLike
    values: npt.ArrayLike
    exact: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicate:
    """What one draw of weights and data showed.

    Attributes:
        values: by quantity.
        curves: by name.
        facts: numbers about how it was measured, by name.
        missing: what could not be measured, and why.
    """

    values: Mapping[str, float]
    curves: Mapping[str, Curve]
    facts: Mapping[str, float] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


@final
class ReplicatesTrial(AbstractTrial):
    """Measures replicate after replicate.

    Args:
        measure: measures one, from its cell, which has the replicate's own seed.
        cell: what is measured; its condition `replicates` says how many there are.
        facts: how, for the document.
        tell: is told how far it is.
    """

    def __init__(self, measure: Callable[[Cell], Replicate], cell: Cell, facts: Mapping[str, Any], tell: Tell) -> None:
        self._measure = measure
        self._cell = cell
        self._facts = facts
        self._tell = tell
        self._note: str | None = None
        self._document: str | None = None

    @property
    def note(self) -> str | None:
        """What some replicates lack, and why."""
        return self._note

    @property
    def document(self) -> str | None:
        """The curves of all replicates (profiles.written)."""
        return self._document

    def first(self) -> tuple[Reading, ...]:
        """Return nothing: a replicate has no first call."""
        return ()

    def again(self) -> tuple[Reading, ...]:
        """Measure every replicate."""
        count, found = dict(self._cell.conditions)["replicates"], []
        assert isinstance(count, int)
        for r in range(count):
            self._tell(f"replicate {r + 1} of {count}")
            found.append(self._measure(dataclasses.replace(self._cell, seed=self._cell.seed + r)))
        missing = [text for replicate in found for text in replicate.missing]
        said = {text: missing.count(text) for text in dict.fromkeys(missing)}
        self._note = "; ".join(f"{text} ({n} of {count} replicates)" for text, n in said.items()) or None
        facts = {name: [replicate.facts[name] for replicate in found] for name in found[0].facts}
        seeds = [self._cell.seed + r for r in range(count)]
        self._document = written(_profiles(found), {**self._facts, **facts, "seeds": seeds})
        return tuple(
            Reading(quantity=quantity, value=value, replicate=r)
            for r, replicate in enumerate(found)
            for quantity, value in replicate.values.items()
        )


def data_of(cell: Cell) -> np.random.Generator:
    """Return the generator of a replicate's data, which depends on nothing but the cell's seed."""
    return np.random.default_rng((_DATA, cell.seed))


def through_feature_0(carrier: Carrier, scale: float, u: npt.NDArray[Any]) -> Tensor:
    """Return tokens (b, t, d) whose feature 0 is scale * u, u (b, t), and whose other features are 0."""
    return F.pad(carrier.tensor(scale * u).unsqueeze(-1), (0, carrier.width - 1))


def as_features(carrier: Carrier, symbols: int, tokens: npt.NDArray[Any]) -> Tensor:
    """Return tokens (b, t) of V symbols as (b, t, d): 1 in the feature of the token's number, 0 elsewhere."""
    rows = carrier.tensor(np.eye(symbols, carrier.width))
    return rows[torch.as_tensor(tokens, device=rows.device)]


def require_finite(name: str, values: Tensor) -> None:
    """Raise SeqscaleError, for an outcome `failed`, where a tensor is not finite."""
    if not values.isfinite().all():
        raise SeqscaleError(f"{name} is not finite.")


def _profiles(found: Sequence[Replicate]) -> list[Profile]:
    """Return the curves that every replicate has."""
    names = [name for name in found[0].curves if all(name in replicate.curves for replicate in found)]
    profiles = []
    for name in names:
        first = found[0].curves[name]
        rows = np.stack([np.asarray(replicate.curves[name].values, np.float64) for replicate in found], axis=1)
        profiles.append(
            Profile(
                name=name,
                quantity=first.quantity,
                by=first.by,
                x=tuple(np.asarray(first.x, np.float64).tolist()),
                values=tuple(map(tuple, rows.tolist())),
                exact=first.exact,
            )
        )
    return profiles
