"""The live line of a run: what is being measured, how much is done, the time left, verdicts as they fall."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator

from seqscale.engine.local import Progress

_PLAIN_S = 5.0  # where no line can be drawn again, one this often


@contextlib.contextmanager
def live() -> Iterator[tuple[Callable[[Progress], None], Callable[[str], None]]]:
    """Yield (watch, say): `watch` redraws the line on stderr, `say` prints a verdict above it."""
    # a terminal that cannot move its cursor gets lines too
    if sys.stderr.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown"):
        with _rich_line() as pair:
            yield pair
    else:
        yield _plain_line()


def _plain_line() -> tuple[Callable[[Progress], None], Callable[[str], None]]:
    last = 0.0

    def watch(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= _PLAIN_S:
            last = time.monotonic()
            print(_text(progress), file=sys.stderr, flush=True)

    return watch, lambda text: print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _rich_line() -> Iterator[tuple[Callable[[Progress], None], Callable[[str], None]]]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress

    console = Console(stderr=True, highlight=False)
    columns = (
        BarColumn(bar_width=24),
        TextColumn("{task.completed}/{task.total} cells"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}  {task.description}", markup=False),
    )
    with RichProgress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None, left="")

        def watch(progress: Progress) -> None:
            bar.update(
                task,
                completed=progress.done,
                total=progress.total or None,
                description=progress.now,
                left=_left(progress.left_s) if progress.total else "starting",
            )

        yield watch, lambda text: console.print(text, markup=False)


def _text(progress: Progress) -> str:
    if progress.total == 0:  # the gate, before the study's cells are entered
        return f"[starting] {progress.now}"
    return f"[{progress.done}/{progress.total} cells, {_left(progress.left_s)}] {progress.now}"


def _left(seconds: float) -> str:
    return f"about {seconds:.0f} s left" if seconds < 120 else f"about {seconds / 60:.0f} min left"
