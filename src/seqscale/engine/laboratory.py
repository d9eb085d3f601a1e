"""The worker process as the engine sees it: requests go in, events come out, and it may die at any moment."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from seqscale.messages import Event, Request, decode_event, encode_request

WORKER = "seqscale.probes.worker"  # the one module that the engine starts by name
START_S = 180.0  # importing torch from a cold disk can take a minute


class WorkerDiedError(Exception):
    """The worker closed its output; the text is its exit and the end of what it wrote to stderr."""


class Laboratory:
    """One worker process, in a session of its own so that Ctrl-C reaches only the engine.

    Args:
        log: file that collects what the worker and the user's layer write to stderr.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        # One thread from the start: a parent that forks must have no thread pool, and each cell sets its own count.
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        with log.open("ab") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", WORKER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=os.environ | threads | {"PYTHONHASHSEED": "0"},
                start_new_session=True,
            )
        self._buffer = b""
        try:
            self.event(START_S)  # ready
        except BaseException:
            self.stop()
            raise

    def send(self, request: Request) -> None:
        """Send one request; a worker that is already gone shows at the next event."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(encode_request(request).encode())
            self._process.stdin.flush()

    def event(self, timeout_s: float) -> Event:
        """Return the next event; TimeoutError after `timeout_s` seconds, WorkerDiedError when there will be none."""
        assert self._process.stdout is not None
        fd = self._process.stdout.fileno()
        until = time.monotonic() + timeout_s
        while b"\n" not in self._buffer:
            if not select.select([fd], [], [], max(0.0, until - time.monotonic()))[0]:
                raise TimeoutError
            chunk = os.read(fd, 1 << 16)
            if not chunk:
                raise WorkerDiedError(self._last_words())
            self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\n", 1)
        return decode_event(line.decode())

    def _last_words(self) -> str:
        """Exit status and the last line of stderr."""
        code = self._process.wait()
        status = f"signal {-code}" if code < 0 else f"exit status {code}"
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return f"{status}; its last line: {lines[-1][:200]}" if lines else status

    def stop(self) -> None:
        """Kill the worker and whatever it forked; nothing that was committed is lost."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
