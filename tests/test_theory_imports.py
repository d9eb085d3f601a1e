"""Importing the theory costs numpy at most: the report does it; estimators never need torch."""

import subprocess
import sys
from pathlib import Path

import pytest

import seqscale


@pytest.mark.parametrize("room", ["theory", "estimators"])
def test_a_room_imports_neither_scipy_nor_torch(room):
    modules = [p.stem for p in (Path(seqscale.__file__).parent / room).glob("*.py") if p.stem != "__init__"]
    code = "import sys, " + ", ".join(f"seqscale.{room}.{m}" for m in modules)
    code += "; print([m for m in ('scipy', 'torch') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
