"""How many instructions of each kind the innermost loops of compiled recurrences have, and the cycles they need."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import numba
from numba import types

from seqscale.kernels import elman, gru, lstm

# the kernel by rows of a block, and how many of its arguments are arrays; the others are whole numbers
KERNELS = {"elman": (elman._forward, 6), "gru": (gru._forward, 9), "lstm": (lstm._forward, 11)}
REGISTER = re.compile(r"%[xyz]mm\d+")
STORE = re.compile(r"\)(\s*\{%k\d\})?$")  # memory comes last, all of it or some
A_CYCLE = 2  # products with a sum, and loads, of whole registers that a core of Zen 5 or of Golden Cove does at most


def loops(assembly: str) -> Iterator[list[str]]:
    """Yield the instructions of each block that jumps to its own start."""
    label, block = "", []
    for line in (line.strip() for line in assembly.splitlines()):
        if line.endswith(":"):
            label, block = line[:-1], []
        elif line and not line.startswith((".", "#")):
            block.append(line)
            if re.fullmatch(rf"j\w+\s+{re.escape(label)}", line):
                yield block
                block = []


def counts(block: list[str]) -> tuple[int, int, int, int, int]:
    """Return instructions, products with a sum, loads of registers, those of one number, and divisions."""
    vectors = [line for line in block if REGISTER.search(line)]
    loads = [line for line in vectors if "(" in line and not STORE.search(line)]
    single = [line for line in loads if "broadcast" in line or "{1to" in line]
    fused, divisions = (sum(line.startswith(name) for line in vectors) for name in ("vfmadd", "vdiv"))
    return len(block), fused, len(loads), len(single), divisions


def main() -> None:
    print(f"{'kernel, rows':<14} instructions  fused  loads  of one number  divisions  cycles at least")
    for name, (make, arrays) in KERNELS.items():
        for rows in (1, 8):
            function = make(rows).py_func
            others = len(inspect.signature(function).parameters) - arrays
            kernel = numba.njit(nogil=True, error_model="numpy")(function)
            kernel.compile((types.float32[::1],) * arrays + (types.int64,) * others)
            (assembly,) = kernel.inspect_asm().values()
            for found in sorted({counts(block) for block in loops(assembly)}, key=lambda found: -found[1]):
                if found[1] > 8:
                    cycles = max(found[1], found[2]) / A_CYCLE
                    print(f"{name + f', {rows}':<14} {found[0]:>12} {found[1]:>6} {found[2]:>6} {found[3]:>14} "
                          f"{found[4]:>10} {cycles:>16g}")  # fmt: skip


if __name__ == "__main__":
    main()
