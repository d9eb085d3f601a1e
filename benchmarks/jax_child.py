"""The process that computes in jax, seen from here: jax is not imported into the process that it is compared with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, final

import numpy as np

from benchmarks.rounds import Timer

MISSING = "jax is not installed: its rows are left out; `make bench` installs it, as does pip install -e '.[bench]'"


def available() -> bool:
    """Whether jax can be imported."""
    return find_spec("jax") is not None


@final
class Jax:
    """One child, which holds one set of arrays; requests are those of `jax_peer`."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process, self._folder = process, folder
        self._names: list[str] = []

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Give it the arrays of the next requests; `gy` among them is the gradient of the outputs."""
        path = self._folder / "arrays.npz"
        np.savez(path, **arrays)
        self._names = ["y", *(f"gradient of {name}" for name in arrays)]
        self._ask({"load": str(path)})

    def timer(self, function: str, mode: str) -> Timer:
        """Return what times a function on the arrays that are loaded."""
        return lambda times: float(self._ask({"function": function, "mode": mode, "times": times})["seconds"])

    def outputs(self, function: str, mode: str) -> list[np.ndarray]:
        """Return what a function gives for the loaded arrays: the outputs, and gradients in the arrays' order."""
        path = self._folder / "outputs.npz"
        self._ask({"function": function, "mode": mode, "save": str(path)})
        with np.load(path) as stored:
            return [stored[name] for name in self._names if name in stored]

    def _ask(self, request: Mapping[str, object]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of jax ended at {request}, exit status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def jax_child(threads: int) -> Iterator[Jax]:
    """Start a child of so many threads, and end it."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("jax_peer.py")), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"JAX_PLATFORMS": "cpu"},
        )
        with process:  # leaving it closes its input, which ends it
            yield Jax(process, Path(folder))
