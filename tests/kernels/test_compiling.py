"""Compiled code is kept between processes, and never run after a source that it was made of has changed."""

import os
import shutil
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numba
import numpy as np
import pytest

import seqscale.kernels
from seqscale.kernels import compiling

SAY = """
from seqscale.kernels.elman import _forward, elman
import numpy as np
nothing = np.zeros((1, 1, 1, 1))
print(elman(nothing, nothing[0], nothing[0]).item(), sum(_forward(1).stats.cache_hits.values()))
"""


@pytest.fixture
def copied(tmp_path):
    """The room alone, in a folder of its own, with an empty cache."""
    room = Path(seqscale.kernels.__file__).parent
    shutil.copytree(room, tmp_path / "src/seqscale/kernels", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "src/seqscale/__init__.py").touch()
    return tmp_path


def say(folder: Path) -> list[float]:
    known = dict(os.environ, PYTHONPATH=str(folder / "src"), XDG_CACHE_HOME=str(folder / "cache"))
    done = subprocess.run([sys.executable, "-c", SAY], capture_output=True, text=True, env=known, check=True)
    return [float(word) for word in done.stdout.split()]


def test_a_second_process_finds_what_the_first_compiled_until_a_helper_is_edited(copied):
    assert say(copied) == [0.0, 0]
    assert say(copied) == [0.0, 1]
    helper = copied / "src/seqscale/kernels/activations.py"  # imported by the file whose function is compiled
    text = helper.read_text()
    assert text.count("(m / (m + 2.0))") == 1
    helper.write_text(text.replace("(m / (m + 2.0))", "((m + 1.0) / (m + 2.0))"))
    assert say(copied) == [0.5, 0]


@pytest.fixture
def no_folder(tmp_path, monkeypatch):
    """A place where no folder can be made, whoever asks: a file is in the way."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    compiling.cache_folder.cache_clear()
    yield
    compiling.cache_folder.cache_clear()


def test_without_a_folder_kernels_are_compiled_after_one_warning(no_folder):
    with pytest.warns(UserWarning, match="cannot be kept in .*set XDG_CACHE_HOME") as said:
        doubled = compiling.compiled(lambda x: 2 * x)
    assert len(said) == 1
    with warnings.catch_warnings(action="error"):
        tripled = compiling.compiled(lambda x: 3 * x)
    assert (doubled(2.0), tripled(2.0)) == (4.0, 6.0)


def test_the_setting_of_other_users_of_numba_is_left_alone(monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", "theirs")
    compiling.compiled(lambda x: x)
    assert numba.config.CACHE_DIR == "theirs"


def test_threads_that_compile_at_once_leave_each_other_the_folder(monkeypatch):
    seen = []

    def slow(**asked):
        def make(function):
            time.sleep(0.02)  # the others come in between
            seen.append(numba.config.CACHE_DIR)
            return function

        return make

    monkeypatch.setattr(numba, "njit", slow)
    monkeypatch.setattr(numba.config, "CACHE_DIR", "theirs")
    threads = [threading.Timer(0.005 * i, compiling.compiled, (len,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [str(compiling.cache_folder())] * 4
    assert numba.config.CACHE_DIR == "theirs"


def test_a_division_by_zero_is_infinite():
    assert compiling.compiled(lambda x, y: x / y)(1.0, np.float64(0)) == np.inf
