"""Every implementation of a layer; the property tests run over this list.

A layer of the catalogue is here by itself; a line in OPTIONS adds the options that change how it computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from seqscale.layers.base import AbstractLayer
from seqscale.layers.build import DTYPES, build
from seqscale.layers.catalogue import LAYERS
from seqscale.records import Option

OPTIONS: Mapping[str, tuple[Mapping[str, Option], ...]] = {
    "elman": ({}, {"hidden": 12}),
    "elman-orthogonal": ({}, {"hidden": 12}),
    "gru": ({}, {"hidden": 12}),
    "lstm": ({}, {"hidden": 12}),
    "diagonal": ({}, {"hidden": 12}),
    "lru": ({}, {"hidden": 12}),
    "selective": ({}, {"state": 3}),
    "orthogonal": ({}, {"hidden": 12}),
    "cyclic": ({}, {"hidden": 12}),
    "linear-attention": ({}, {"heads": 2}, {"heads": 2, "decay": 0.9}),
    "deltanet": ({}, {"heads": 2}),
    "attention": ({}, {"heads": 1}, {"heads": 2, "rotary": True}),
}
WIDTH = 8


@dataclass(frozen=True, slots=True)
class Implementation:
    """One layer with options, computed by one algorithm."""

    layer: str
    algorithm: str
    options: Mapping[str, Option] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join([self.layer, self.algorithm, *(f"{k}={v}" for k, v in self.options.items())])

    def build(self, *, width: int = WIDTH, dtype: str = "float64", seed: int = 0) -> AbstractLayer:
        """Return the layer."""
        spec = LAYERS[self.layer]
        built = build(spec.target, spec.family, width, self.options, self.algorithm, dtype, "cpu", seed)
        assert isinstance(built.module, AbstractLayer)
        return built.module


IMPLEMENTATIONS = [
    Implementation(name, algorithm, options)
    for name, spec in LAYERS.items()
    for algorithm in spec.algorithms
    for options in OPTIONS.get(name, ({},))
]

every_implementation = pytest.mark.parametrize("implementation", IMPLEMENTATIONS, ids=str)
# one of each algorithm, with its last options, for what costs seconds
every_algorithm = pytest.mark.parametrize(
    "implementation", [i for i in IMPLEMENTATIONS if i.options == OPTIONS.get(i.layer, ({},))[-1]], ids=str
)


def normal(*shape: int, dtype: str = "float64", seed: int = 0) -> Tensor:
    """Return normal numbers, the same for the same arguments."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(DTYPES[dtype])
