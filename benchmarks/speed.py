"""How fast the tool itself is: start-up, reading a large store, and its share of a quick run.

    make bench      or      python benchmarks/speed.py [--store seqscale.db]

Prints one line per figure beside its target. Not a test: machines differ and are shared.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from seqscale.engine.machine import this_machine, versions
from seqscale.layers.attention import Attention
from seqscale.layers.catalogue import LAYERS
from seqscale.probes.catalogue import PROBES
from seqscale.rows import Outcome, OutcomeKind, Sample
from seqscale.store.store import Store
from seqscale.studies.base import Request, blocks, questions
from seqscale.studies.catalogue import FULL
from seqscale.tracing.trace import preload, trace
from seqscale.verdicts.catalogue import CLAIMS

CELLS = 10_000
COSTS = tuple(claim for claim in CLAIMS.values() if claim.costs)  # others judge documents, which would be made up
ROUNDS = 9


def timed(command: list[str], rounds: int = 5) -> float:
    """Return the median wall time of a command in seconds; it must succeed."""
    spent = []
    for _ in range(rounds):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        spent.append(time.perf_counter() - start)
    return statistics.median(spent)


def fill(path: Path) -> int:
    """Fill a store with full studies at several seeds until it has CELLS cells; return how many it has."""
    filled = 0
    with Store.writer(path) as store:
        store.begin_run("full", versions()["seqscale"], this_machine().facts(), versions())
        seed = 0
        while filled < CELLS:
            request = Request(
                layers=tuple(LAYERS.values()), named=False, algorithms={}, claims=COSTS, machine="synthetic",
                torch=versions()["torch"], seed=seed,
            )  # fmt: skip
            asked = questions(FULL, request)
            cells = [cell for block in blocks(FULL, asked, CLAIMS) for cell in block.cells]
            store.add_questions("full", asked)
            store.add_cells(cells)
            for cell in cells:
                size = cell.length * cell.width * cell.batch
                store.commit_round(
                    (cell.id, name, Sample(value=value(name, size, i), launch=i % 3, round=i // 3))
                    for name in quantities(cell.probe, cell.mode)
                    for i in range(ROUNDS if name == "time" else 1)
                )
                store.set_outcome(cell.id, Outcome(kind=OutcomeKind.ok))
            filled += len(cells)
            seed += 1
    return filled


def quantities(probe: str, mode: str) -> tuple[str, ...]:
    """Return what a cell of this probe and mode yields."""
    if probe == "time":
        return ("time", "first_call_time")
    if probe == "count" and mode == "decode":
        return ("state_elements", "state_bytes")
    known = PROBES[probe].quantities
    return tuple(name for name in known if not name.startswith("state_")) if probe == "count" else known


def value(name: str, size: int, i: int) -> float:
    """Return a plausible value; times vary by a per cent from round to round."""
    return 1e-7 * size * (1 + 0.01 * ((i * 37) % 11 - 5) / 5) if name.endswith("time") else float(size)


def attention_s() -> float:
    """Return the median seconds of one trace of attention over 2^20 tokens."""
    preload()
    spent = []
    for _ in range(5):
        start = time.perf_counter()
        trace(Attention(64), (1, 2**20, 64), torch.float32, "training")
        spent.append(time.perf_counter() - start)
    return statistics.median(spent)


def main() -> None:
    """Print every figure beside its target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    seqscale = str(Path(sys.executable).with_name("seqscale"))
    print(f"{this_machine().fingerprint}; {versions()}; {len(CLAIMS)} claims")
    print(f"seqscale --help                     {timed([seqscale, '--help'], 11):6.2f} s   target 0.3 s")
    print(f"one trace of attention, T = 2^20    {attention_s():6.2f} s   target 1 s")
    for mode in ("forward", "training"):
        law_s = timed([seqscale, "trace", "gru", "--mode", mode], 3)
        print(f"seqscale trace gru, {mode:<8}        {law_s:6.2f} s   target 10 s, import of torch included")
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "large.db"
        start = time.perf_counter()
        cells = fill(store)
        print(f"(filling a store with {cells} cells took {time.perf_counter() - start:.0f} s)")
        print(f"seqscale claims, {cells} cells       {timed([seqscale, 'claims', str(store)], 3):6.2f} s   target 5 s")
        report = [seqscale, "report", str(store), "--out", str(Path(folder) / "r.html")]
        print(f"seqscale report, {cells} cells       {timed(report, 3):6.2f} s   target 5 s")


if __name__ == "__main__":
    main()
