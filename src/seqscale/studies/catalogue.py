"""The studies by name."""

from __future__ import annotations

from dataclasses import replace

from seqscale.errors import UnknownNameError
from seqscale.records import Effort
from seqscale.studies.base import ORDER, Study

INFORMATION = tuple(probe for band in (ORDER[0], ORDER[2]) for probe in band)

QUICK = Study(
    name="quick",
    sentence="every claim on two CPU cores in 5 to 10 minutes: T 4..4096, widths 8..64, forks of one prepared process",
    lengths=(32, 64, 128, 256, 512, 1024, 2048, 4096),
    widths=(64,),
    state_width=32,
    token_width=8,
    costed=("elman", "gru", "lstm", "diagonal", "attention"),
    unasked=("fused",),
    unasked_layers=("selective",),
    extent="quick",
    loop_lengths=(32, 64, 128, 256, 512),
    loop_lengths_attention=(8, 16, 32, 64, 128, 256),
    launcher="fork",
    efforts={
        "count": Effort(min_rounds=1, max_rounds=1, cell_s=15.0, call_s=30.0),
        "schedule": Effort(min_rounds=1, max_rounds=1),
        "ceiling": Effort(min_rounds=9, max_rounds=12, cell_s=15.0, call_s=30.0),
        "time": Effort(min_rounds=9, max_rounds=12, cell_s=15.0, call_s=30.0),
        # a trace costs up to 10 ms for each step of a loop: 4 s reach T = 512, and longer loops become `skipped` rows
        "memory": Effort(min_rounds=1, max_rounds=1, cell_s=4.0, call_s=60.0),
        **dict.fromkeys(INFORMATION, Effort(min_rounds=1, max_rounds=1, cell_s=60.0, call_s=60.0)),
    },
)

FULL = Study(
    name="full",
    sentence="every claim at T 64..65536 and widths 64..1024, a fresh process for each of three launches; resumable",
    lengths=tuple(64 * 2**k for k in range(11)),
    widths=(64, 128, 256, 512, 1024),
    state_width=64,
    token_width=8,
    costed=(),
    unasked=(),
    unasked_layers=(),
    extent="full",
    loop_lengths=(64, 128, 256, 512, 1024, 2048, 4096),
    loop_lengths_attention=(64, 128, 256, 512, 1024),
    launcher="fresh",
    efforts={
        "count": Effort(min_rounds=1, max_rounds=1, cell_s=120.0, call_s=120.0),
        "schedule": Effort(min_rounds=1, max_rounds=1, cell_s=120.0, call_s=120.0),
        "ceiling": Effort(min_rounds=9, max_rounds=60, launches=3, cell_s=300.0, call_s=120.0),
        "time": Effort(min_rounds=9, max_rounds=60, launches=3, cell_s=300.0, call_s=120.0),
        "memory": Effort(min_rounds=1, max_rounds=1, cell_s=120.0, call_s=120.0),
        **dict.fromkeys(INFORMATION, Effort(min_rounds=1, max_rounds=1, cell_s=600.0, call_s=600.0)),
    },
)

CALIBRATION = replace(
    QUICK,
    name="calibration",
    sentence="every instrument of the information half on what is known, under 60 s",
    claims=("instrument.known-values",),
)

STUDIES = {study.name: study for study in (QUICK, FULL, CALIBRATION)}


def find(name: str) -> Study:
    """Return the study of that name, or raise UnknownNameError with the near ones."""
    if name not in STUDIES:
        raise UnknownNameError("study", name, STUDIES)
    return STUDIES[name]
