"""Importing the fits costs numpy at most: scipy and torch stay out until a quantile is asked for."""

import subprocess
import sys

MODULES = ("classes", "exact", "interval", "points", "power", "regime", "slope", "verdict")


def test_the_fits_import_neither_scipy_nor_torch():
    code = "import sys, " + ", ".join(f"seqscale.fit.{m}" for m in MODULES)
    code += "; print([m for m in ('scipy', 'torch') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
