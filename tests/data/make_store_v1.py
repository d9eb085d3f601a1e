"""Write store_v1.db, the store that every later version must open.

Run once, by the version whose only migration is 0001-first; the file it wrote is never written again:

    python tests/data/make_store_v1.py NEW_FILE
"""

from __future__ import annotations

import sys

from seqscale.records import Cell, LayerSpec, Question, Scope
from seqscale.rows import Outcome, OutcomeKind, Sample
from seqscale.store.store import GateRecord, Store

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
    lengths=(64, 128, 256),
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


def timed(length: int) -> Cell:
    return SCOPE.cell("time", 1, GRU, algorithm="library", mode="forward", length=length, options=(("hidden", 32),))


def main(path: str) -> None:
    cells = [timed(length) for length in SCOPE.lengths]
    with Store.writer(path) as store:
        store.add_cells(cells)
        store.add_questions(
            "quick", [Question(claim="time.linear-forward", layer=GRU, algorithm="library", scope=SCOPE)]
        )
        run = store.begin_run("quick", "0.1.0", {"model": "a processor", "cores": 2}, {"torch": "2.13.0"})
        store.set_gate("gru/library d=64", GateRecord(passed=True, report={"causal": "bit-equal"}))
        for number in range(9):
            store.commit_round(
                (
                    cell.id,
                    "time",
                    Sample(value=cell.length * 1e-5 + number * 1e-6, round=number, cpu_s=1e-5, reference_s=2e-4),
                )
                for cell in cells[:2]
            )
            store.commit_round([(cells[0].id, "time", Sample(value=6.5e-4, round=number, lane=1))])
        store.commit_round([(cells[0].id, "first_call_time", Sample(value=0.02))])
        store.set_outcome(cells[0].id, Outcome(kind=OutcomeKind.ok))
        store.set_outcome(cells[2].id, Outcome(kind=OutcomeKind.skipped, reason="predicted 80 s", needed_s=80.0))
        store.note_crash(cells[1].id)
        store.end_run(run, wall_s=3.5, measured_s=3.0)


if __name__ == "__main__":
    main(sys.argv[1])
