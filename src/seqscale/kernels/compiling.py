"""Compile functions once for each machine: what numba compiled is kept on disk, in a folder that nothing stale shares.

numba asks whether a function's own file changed, not whether a module that it imports did: a kernel compiled with an
older helper would be run. So the folder's name is a hash of all sources of this room, numba's version and the CPU.
"""

from __future__ import annotations

import hashlib
import os
import platform
import tempfile
import threading
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numba

Compiled = Callable[..., Any]
_SETTINGS: Any = numba.config
_ONE = threading.Lock()  # numba's setting is the process's: two threads that compile would each undo the other's


def compiled(function: Callable[..., Any]) -> Compiled:
    """Return a function compiled for the types that it is called with, which runs without Python's lock.

    Floating-point numbers mean what IEEE 754 says, NaN and infinity too; a division by zero gives one of them.

    Args:
        function: as numba compiles it; it may close over whole numbers, not over other functions.
    """
    with _ONE:
        folder, before = cache_folder(), _SETTINGS.CACHE_DIR
        _SETTINGS.CACHE_DIR = "" if folder is None else str(folder)  # read when a function asks for its cache
        try:
            made: Compiled = numba.njit(nogil=True, error_model="numpy", cache=folder is not None)(function)
        finally:
            _SETTINGS.CACHE_DIR = before
    return made


@cache
def cache_folder() -> Path | None:
    """Return the folder of compiled code, made if need be; None, after one warning, where it cannot be written.

    It lies in XDG_CACHE_HOME, which is ~/.cache where it is not set.
    """
    place = Path("~")
    try:
        root = os.environ.get("XDG_CACHE_HOME")
        place = (Path(root) if root else Path.home() / ".cache") / "seqscale" / fingerprint()
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place):
            return place
    except (OSError, RuntimeError) as error:  # RuntimeError: no home
        warnings.warn(
            f"compiled kernels cannot be kept in '{place}' ({error}): each process compiles its own; set "
            "XDG_CACHE_HOME to a folder that can be written.",
            stacklevel=2,
        )
        return None


def fingerprint() -> str:
    """Return a name for all that compiled code depends on: the sources of this room, the compiler and the CPU."""
    found = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        found.update(f"{file.name} ".encode() + file.read_bytes())
    features = sorted(name for name, has in llvm.get_host_cpu_features().items() if has)
    machine = (numba.__version__, llvmlite.__version__, platform.machine(), llvm.get_host_cpu_name(), *features)
    found.update(" ".join(machine).encode())
    return found.hexdigest()[:16]
