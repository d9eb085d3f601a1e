"""What else is told of the kernels: what they make faster in training many small models, and their first call."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from benchmarks.rounds import Call, interleaved, timer
from benchmarks.tables import ratio
from seqscale.kernels.elman import elman
from seqscale.layers.build import build
from seqscale.layers.catalogue import LAYERS
from seqscale.training.models import Models
from seqscale.training.ways import way_of

DRAWS, COPIES = 3, 6  # models: initial weights of so many seeds, each so many times
REPLACED = {  # the fastest of the others
    "elman": "reference",
    "gru": "reference",
    "lru": "reference",
    "selective": "reference",
    "linear-attention": "chunked",
    "deltanet": "chunked",
}
SIZES = ((16, 40, 16), (32, 100, 32))  # batch, tokens, width


def training(wanted: int) -> Sequence[str]:
    """Return a table: forward and backward of many small models, by the kernels and by what they replace."""
    lines = [f"| {DRAWS * COPIES} models, (batch, tokens, width), one thread | what it replaces / fused |", "|---|---|"]
    for name, replaced in REPLACED.items():
        for size in SIZES:
            fused = way_of(name, "reference", "cpu").algorithm
            steps = {way: _step(name, way, size) for way in (fused, replaced)}
            for step in steps.values():
                step()
            found = interleaved({way: timer(step) for way, step in steps.items()}, wanted)
            lines.append(f"| {name} by {replaced}, {size} | {ratio(found.ratio(replaced, fused))} |")
    return lines


def first_call() -> str:
    """Return what the first call of a size takes, which compiles nothing when the kernel is there."""
    spent = []
    for units in (48, 49):
        a, h, w = (np.zeros(shape, np.float32) for shape in ((1, 1, 8, units), (1, 1, units), (1, units, units)))
        start = time.perf_counter()
        elman(a, h, w)
        spent.append(1e3 * (time.perf_counter() - start))
    return f"first call of a kernel in this process {spent[0]:.0f} ms, of another size of it {spent[1]:.2f} ms"


def _step(name: str, algorithm: str, size: tuple[int, int, int]) -> Call:
    batch, length, width = size
    spec = LAYERS[name]
    layers = [
        build(spec.target, spec.family, width, {}, algorithm, "float32", "cpu", seed).module for seed in range(DRAWS)
    ]
    rngs = [np.random.default_rng(seed) for seed in range(DRAWS)]
    sizes = {"width": width, "features": 4, "seen": width, "answers": 3}
    models = Models(layers, **sizes, rngs=rngs, together=True, like=torch.zeros(1))
    start = models.start(COPIES).requires_grad_()
    x = torch.randn(DRAWS * COPIES, batch, length, width)

    def step() -> tuple[Tensor, ...]:
        return torch.autograd.grad(models.run(start, x).square().mean(), start)

    return step
