"""What a probe asks of the device that it measures on: to have finished, and to have the processors that it needs."""

from __future__ import annotations

import os
from collections.abc import Callable

import torch

from seqscale.errors import UnsupportedError
from seqscale.records import Cell


def waiting(device: str) -> Callable[[], None]:
    """Return what waits for the device: a CPU call is over when it returns, a CUDA call is only queued."""
    if torch.device(device).type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    return lambda: None


def require_cores(cell: Cell) -> None:
    """Raise UnsupportedError where the cell asks for more threads than this process has cores to run them on."""
    cores = len(os.sched_getaffinity(0))
    if cell.threads > cores:
        raise UnsupportedError(f"{cell.threads} threads: this process may use {cores} core{'s' if cores > 1 else ''}.")
