"""Small records for the tests of the store."""

from __future__ import annotations

from typing import Any

from seqscale.records import Cell, LayerSpec, Question, Scope

GRU = LayerSpec(
    name="gru",
    target="seqscale.layers.gru:GRU",
    version="1",
    family="recurrent",
    algorithms=("library", "reference"),
    widen="hidden",
    sentence="a gated recurrent unit",
)

SCOPE = Scope(
    lengths=(64, 128),
    width=64,
    batch=1,
    dtype="float32",
    device="cpu",
    threads=1,
    seed=0,
    launcher="fork",
    machine="two-cores",
    torch="2.13.0",
)

QUESTION = Question(claim="time.linear-forward", layer=GRU, algorithm="library", scope=SCOPE)


def a_cell(**fields: Any) -> Cell:
    """A cell of the time probe; `fields` says what differs from a GRU's forward pass over 64 tokens."""
    return SCOPE.cell("time", 1, GRU, **{"algorithm": "library", "mode": "forward", "length": 64, **fields})
