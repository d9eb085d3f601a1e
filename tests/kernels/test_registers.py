"""Kernels compiled for processors with narrower registers give what those of this one give: its tests pass there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from seqscale.kernels.lanes import REGISTER_BYTES

HERE = Path(__file__).parent
AS_IF = """
import sys
import llvmlite.binding as llvm

features = llvm.get_host_cpu_features()
features.update((name, False) for name in list(features) if name.startswith({without}))
llvm.get_host_cpu_features = lambda: features  # before a kernel asks; numba compiles for them too

import pytest
from seqscale.kernels.lanes import REGISTER_BYTES

assert REGISTER_BYTES == {width}
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
"""
WITHOUT = {32: ("avx512",), 16: ("avx", "f16c", "fma", "vaes", "vpclmul", "xop")}
LOOPS = {
    32: ("test_recurrences.py::test_outputs_states_and_gradients_are_the_loops[lstm]", "[linear attention]"),
    16: ("test_recurrences.py::test_outputs_states_and_gradients_are_the_loops[gru]", "[delta]"),
}


@pytest.mark.parametrize("width", LOOPS)
def test_kernels_for_narrower_registers_pass_the_tests_of_kernels(width, tmp_path):
    if width > REGISTER_BYTES:
        pytest.skip(f"this processor's registers have {REGISTER_BYTES} bytes")
    recurrence, matrix = LOOPS[width]
    matrix = f"test_matrix_states.py::test_what_is_read_states_and_gradients_are_the_loops{matrix}"
    asked = [str(HERE / name) for name in ("test_linear.py", "test_activations.py", recurrence, matrix)]
    program = AS_IF.format(without=WITHOUT[width], width=width)
    done = subprocess.run(
        [sys.executable, "-c", program, *asked],
        capture_output=True,
        text=True,
        env=dict(os.environ, XDG_CACHE_HOME=str(tmp_path)),
        cwd=HERE.parent.parent,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "passed" in done.stdout
