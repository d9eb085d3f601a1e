"""How fast the fused recurrences are: against what else computes the same, this machine's ceilings, and in training.

    make bench      or      python -m benchmarks.recurrences [--threads 2] [--rounds 7] [--only elman gru] [--json FILE]

In interleaved rounds, six at least of any figure (`rounds`): the fused kernels, torch.nn.RNN, GRU and LSTM (the last by
oneDNN), a numpy loop over steps, mambapy's pscan, transformers' loop, and jitted jax.lax.scan and associative_scan in a
process of their own (`jax_peer`). All are given the same arrays, and all outputs and gradients are compared before
anything is timed. The input's products stand outside the loop in all but torch.nn, which sees to that itself. torch.nn
is given the batch first, as the kernels are; jax is given time first, as its scan wants it, and its first, compiling
call is not counted.

Threads: torch, the kernels, numpy's BLAS and the reading of caches use --threads; jax, which takes as many as it finds
cores, is held to that many cores by the system (sched_setaffinity, Linux; elsewhere it uses all). With one thread every
figure is processor time; with more it is time on the wall.

Ceilings, in the same rounds: a product of two 1536 x 1536 matrices, by torch or numpy as is faster; an array of the
size of the recurrent weights read as often as the recurrence reads them; and for the diagonal recurrence a copy of as
many bytes as it must move.
Recurrences whose state is a matrix are compared with torch's products of chunks too, the layer's algorithm `chunked`.
Shapes are (B, I, H, T): batch, inputs, hidden units, tokens. Not a test: machines differ and are shared.
"""

from __future__ import annotations

import argparse
import json
import os
from contextlib import nullcontext
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

MODES = ("forward", "both")
LINEAR = ("diagonal", "selective", "linear-attention", "delta")
PARTS = ("elman", "gru", "lstm", *LINEAR, "training")


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="of each figure, where its calls are fast enough")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there too")
    given = parser.parse_args()
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(given.threads)  # numpy's BLAS reads it once, when numpy is imported: so that is below
    run(given)


def run(given: argparse.Namespace) -> None:
    """Measure the parts that are asked for, and print each row when it is there."""
    import torch

    from benchmarks import jax_child, peers, rows, tables, training
    from benchmarks.targets import SHAPES
    from seqscale.engine.machine import this_machine, versions

    torch.set_num_threads(given.threads)
    has_jax = jax_child.available()
    known = versions() | {name: version(name) for name in ("numba", "mambapy", *(["jax"] if has_jax else []))}
    print(f"{datetime.now(UTC):%Y-%m-%d}; {this_machine().fingerprint}; threads {given.threads}; float32")
    print("; ".join(f"{name} {of}" for name, of in known.items()))
    print(training.first_call())
    if not has_jax:
        print(jax_child.MISSING)
    found = []
    with jax_child.jax_child(given.threads) if has_jax else nullcontext() as jax:
        cells = [name for name in peers.CELLS if name in given.only]
        for mode in MODES if cells else ():
            print(f"\n{tables.head(mode)}")
            for shape in SHAPES:
                for name in cells:
                    found.append(rows.nonlinear(name, shape, mode, given.rounds, jax))
                    print(tables.cell(found[-1]), flush=True)
        for line in tables.loops(found):
            print(line)
        linear = [name for name in LINEAR if name in given.only]
        if linear:
            print(f"\n{tables.LINEAR_HEAD}")
        for name in linear:
            for mode in MODES:
                found.append(rows.linear(name, mode, given.rounds, jax))
                print("\n".join(tables.linear(found[-1])), flush=True)
    if found:
        print(f"\n{tables.CAPTION}\n{tables.counts(found)}\n{tables.met(found)}")
    if "training" in given.only:
        torch.set_num_threads(1)
        print("\n".join(["", *training.training(given.rounds)]))
    if given.json is not None:
        about = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": this_machine().facts(), "versions": known}
        whole = {**about, "threads": given.threads, "rows": [tables.as_json(row) for row in found]}
        given.json.write_text(json.dumps(whole, indent=1) + "\n")


if __name__ == "__main__":
    main()
