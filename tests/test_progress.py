"""Progress goes to what can show it; a worker that does not start leaves nothing open behind it."""

from __future__ import annotations

import gc
import io
import sys
import warnings

import pytest

from seqscale.cli.progress import live
from seqscale.engine import laboratory
from seqscale.engine.local import Progress


class Screen(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("term", "lines"), [("dumb", True), ("xterm", False)])
def test_a_terminal_that_cannot_redraw_gets_lines(monkeypatch, term, lines):
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", term)
    with live() as (watch, _):
        watch(Progress(now="time forward gru", done=3, total=24, left_s=5.0))
    shown = screen.getvalue()
    assert ("[3/24 cells, about 5 s left] time forward gru\n" in shown) == lines
    assert "cells" in shown


def test_a_worker_that_does_not_start_leaves_no_pipe_open(monkeypatch, tmp_path):
    monkeypatch.setattr(laboratory, "WORKER", "seqscale.errors")  # a module that ends at once
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with pytest.raises(laboratory.WorkerDiedError):
            laboratory.Laboratory(tmp_path / "log")
        gc.collect()
    assert not seen
