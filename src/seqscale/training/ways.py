"""How each layer of the catalogue trains many small models in the least time on one thread of a CPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from seqscale.layers.fused import available


@dataclass(frozen=True, slots=True)
class Way:
    """How models are computed.

    Attributes:
        algorithm: of the layer. What a model learns does not depend on it: all algorithms have the same parameters.
        together: all models by one call, or one after another.
    """

    algorithm: str
    together: bool

    def text(self) -> str:
        """Write it for a document."""
        return f"{self.algorithm}, {'all models together' if self.together else 'one model after another'}"


# Torch's RNN and GRU cannot be batched over models, its LSTM neither but is fast; torch's fast attention cannot either.
_WAYS: Mapping[str, Way] = {
    "elman": Way("reference", True),
    "elman-orthogonal": Way("reference", True),
    "gru": Way("reference", True),
    "lstm": Way("library", False),
    "orthogonal": Way("reference", True),
    "cyclic": Way("reference", True),
    "lru": Way("reference", True),
    "attention": Way("library", False),
}
# Measured against the ways above in benchmarks/RESULTS.md; the LSTM gains nothing.
_FUSED = {
    layer: Way("fused", True)
    for layer in ("elman", "elman-orthogonal", "gru", "diagonal", "lru", "selective", "linear-attention", "deltanet")
}


def way_of(layer: str, algorithm: str, device: str) -> Way:
    """Return how a layer trains; one that is not named here by its cell's algorithm, together where that works."""
    if layer in _FUSED and available(device):
        return _FUSED[layer]
    return _WAYS.get(layer, Way(algorithm, True))
