"""How fast the fused recurrences are: against torch.nn, against this machine's ceilings, and in training.

    make bench      or      python benchmarks/recurrences.py [--rounds 7] [--threads 2]

Every figure is a ratio of two calls in one round, at least three rounds, so that what else the machine does falls on
both: its median, and in brackets the smallest and largest of the middle half. Above 1 the fused kernel is the faster.
With one thread the clock is the processor's time of this process, which waiting for a core does not stretch.
Shapes are (B, I, H, T): batch, inputs, hidden units, tokens. Not a test: machines differ and are shared.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from seqscale.kernels.elman import elman
from seqscale.layers import fused
from seqscale.layers.build import build
from seqscale.layers.catalogue import LAYERS
from seqscale.layers.diagonal import diagonal_scan
from seqscale.training.models import Models
from seqscale.training.ways import way_of

SHAPES = (
    (1, 8, 16, 5000),
    (1, 64, 64, 2000),
    (1, 256, 256, 1000),
    (1, 1024, 1024, 300),
    (32, 64, 64, 1000),
    (64, 128, 128, 512),
    (32, 256, 256, 500),
)
CELLS: Mapping[str, tuple[type[nn.RNNBase], int]] = {"elman": (nn.RNN, 1), "gru": (nn.GRU, 3), "lstm": (nn.LSTM, 4)}
LONGEST_S = 3.0  # of all rounds of one figure; a slow peer gets fewer, never less than three
STREAM = 2**25  # numbers; more than any cache holds

Call = Callable[[], object]


def rounds(calls: Mapping[str, Call], wanted: int) -> list[dict[str, float]]:
    """Time every call once a round, in turn."""
    for call in calls.values():
        call()
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    found: list[dict[str, float]] = []
    began = time.perf_counter()
    while len(found) < 3 or (len(found) < wanted and time.perf_counter() - began < LONGEST_S):
        spent = {}
        for name, call in calls.items():
            start = clock()
            call()
            spent[name] = clock() - start
        found.append(spent)
    return found


def ratio(found: Sequence[Mapping[str, float]], over: str, under: str) -> str:
    """Write the median ratio of two calls, and the middle half of its rounds."""
    ratios = sorted(spent[over] / spent[under] for spent in found)
    cut = len(ratios) // 4
    return f"{statistics.median(ratios):6.1f} [{ratios[cut]:.1f}, {ratios[-1 - cut]:.1f}]"


def nonlinear(name: str, shape: tuple[int, int, int, int], wanted: int, peak: float) -> str:
    """Return one row: the fused kernel against torch.nn, forward and with its gradient."""
    batch, inputs, units, length = shape
    kind, gates = CELLS[name]
    torch.manual_seed(0)
    peer = kind(inputs, units, batch_first=True)
    x, gy = torch.randn(batch, length, inputs).requires_grad_(), torch.randn(batch, length, units)
    state = tuple(torch.zeros(batch, units) for _ in range(2 if name == "lstm" else 1))
    leaves = (x, *peer.parameters())

    def ours() -> Tensor:
        found = getattr(fused, name)(x, *state, *peer.all_weights[0])
        return found[0] if isinstance(found, tuple) else found

    def theirs() -> Tensor:
        return peer(x)[0]

    def both(run: Callable[[], Tensor]) -> Call:
        return lambda: torch.autograd.grad(run(), leaves, gy)

    with torch.no_grad():
        off = float((ours() - theirs()).abs().max())
    assert off < 1e-4, off
    once = rounds({"fused": torch.no_grad()(ours), "torch": torch.no_grad()(theirs)}, wanted)
    twice = rounds({"fused": both(ours), "torch": both(theirs)}, wanted)
    work = 2 * batch * length * gates * units * (inputs + units)
    own, own_both = (statistics.median(spent["fused"] for spent in found) for found in (once, twice))
    return (
        f"| {name} {shape} | {1e6 * own / length:.2f} | {ratio(once, 'torch', 'fused')} | {work / own / peak:.0%} "
        f"| {1e6 * own_both / length:.2f} | {ratio(twice, 'torch', 'fused')} | {3 * work / own_both / peak:.0%} |"
    )


def ceilings(wanted: int) -> tuple[float, float]:
    """Return this machine's matrix products [flop/s] and the bytes that it copies [B/s], medians of rounds."""
    square, long = torch.randn(1536, 1536), torch.randn(STREAM)
    into = torch.empty_like(long)
    found = rounds({"product": lambda: square @ square, "stream": lambda: into.copy_(long)}, wanted)
    product, stream = (statistics.median(spent[name] for spent in found) for name in ("product", "stream"))
    return 2 * 1536**3 / product, 2 * 4 * STREAM / stream


def linear(wanted: int) -> str:
    """Return one row: the diagonal recurrence, and a copy of as many bytes as it must move."""
    batch, length, units = 8, 4096, 256
    b, h, a = torch.randn(batch, length, units), torch.zeros(batch, units), torch.rand(units)
    into = torch.empty_like(b)

    rate = -torch.log(a)
    calls = {
        "fused": torch.no_grad()(lambda: fused.diagonal(a, b, h)),
        "copy": lambda: into.copy_(b),
        "scan": torch.no_grad()(lambda: diagonal_scan(b, h, rate)),
    }
    found = rounds(calls, wanted)
    own = statistics.median(spent["fused"] for spent in found)
    share = statistics.median(spent["copy"] / spent["fused"] for spent in found)
    return (
        f"diagonal (B, T, D) = {(batch, length, units)}, forward: {1e3 * own:.1f} ms, {share:.0%} of the speed of a "
        f"copy of as many bytes; the layer's scan / fused {ratio(found, 'scan', 'fused')}"
    )


def training(wanted: int) -> list[str]:
    """Return rows: forward and backward of many small models, by the kernels and by the loop that they replace."""
    rows, (draws, copies) = [], (3, 6)
    for name in ("elman", "gru", "lru"):
        for batch, length, width in ((16, 40, 16), (32, 100, 32)):
            calls = {}
            for algorithm in (way_of(name, "reference", "cpu").algorithm, "reference"):
                spec = LAYERS[name]
                layers = [
                    build(spec.target, spec.family, width, {}, algorithm, "float32", "cpu", seed).module
                    for seed in range(draws)
                ]
                rngs = [np.random.default_rng(seed) for seed in range(draws)]
                sizes = {"width": width, "features": 4, "seen": width, "answers": 3}
                models = Models(layers, **sizes, rngs=rngs, together=True, like=torch.zeros(1))
                start = models.start(copies).requires_grad_()
                x = torch.randn(draws * copies, batch, length, width)

                def step(models: Models = models, start: Tensor = start, x: Tensor = x) -> object:
                    return torch.autograd.grad(models.run(start, x).square().mean(), start)

                calls[algorithm] = step
            found = rounds(calls, wanted)
            rows.append(f"| {name}, {(batch, length, width)} | {ratio(found, 'reference', 'fused')} |")
    return rows


def first_call() -> str:
    """Return what the first call of a size takes, which compiles nothing when the kernel is there."""
    spent = []
    for units in (48, 49):
        a, h, w = (np.zeros(shape, np.float32) for shape in ((1, 1, 8, units), (1, 1, units), (1, units, units)))
        start = time.perf_counter()
        elman(a, h, w)
        spent.append(1e3 * (time.perf_counter() - start))
    return f"first call of a kernel in this process {spent[0]:.0f} ms, of another size of it {spent[1]:.2f} ms"


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print(first_call())
    peak, stream = ceilings(given.rounds)
    print(f"{given.threads} threads; products {peak / 1e9:.0f} GFLOP/s, copies {stream / 1e9:.1f} GB/s\n")
    print(
        "| cell (B, I, H, T) | us a step | torch.nn / fused | of products | both: us | torch.nn / fused | of products |"
    )
    print("|---|---|---|---|---|---|---|")
    for shape in SHAPES:
        for name in CELLS:
            print(nonlinear(name, shape, given.rounds, peak), flush=True)
    print(f"\n{linear(given.rounds)}\n")
    torch.set_num_threads(1)
    print("| 18 models, (batch, tokens, width), one thread | loop over steps / fused |\n|---|---|")
    print("\n".join(training(given.rounds)))


if __name__ == "__main__":
    main()
