"""The laboratory: `python -m seqscale.probes.worker`, a process that measures what it is asked to.

Requests come as JSON lines on stdin, events go as JSON lines to stdout (messages.py has their fields); whatever a layer
prints goes to stderr. Closing stdin, even in the middle of a request, ends the worker and every process it forked; so
does its death by any signal. Ctrl-C is the engine's affair and is ignored.

    {"do": "gate", "cell": {...}}       ->  started, gate | died, done
    {"do": "measure", "block": {...},   ->  started, then per cell and round: begin, told and sample ...; after each
     "launch": n, "rounds_done": {}}        round: round; per cell: document (if any), outcome; died when the process
                                            at work ended; done
    {"do": "quit"}                      ->  nothing: the worker exits

The first event of all is `ready`. `begin` precedes whatever can hang or die, so the last one names the cell in flight.
`done` always ends a request. A block whose process `died` has measured nothing after that: what has no outcome yet is
asked for again, with the rounds that were kept. Killing the pid of `started` gives `died` with signal 9.

A block of launcher `fork` runs in a fork of this process, which has imported torch, keeps one thread and runs no
kernel: a fork costs milliseconds where importing torch costs seconds. A probe that must be `alone` (memory) gets one
fork per cell. A block of launcher `fresh` runs in this very process; whoever wants a fresh one starts another worker.

The process at work may not grow beyond MEMORY_SHARE of the memory that was available when it started: an allocation
that runs away becomes the cell's outcome `out_of_memory`, and not the end of the machine's other processes.
"""

from __future__ import annotations

import ctypes
import gc
import mmap
import os
import resource
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from seqscale.errors import UsageError
from seqscale.messages import (
    Begin,
    CellDone,
    Died,
    Done,
    Event,
    GateDone,
    GateRequest,
    MeasureRequest,
    QuitRequest,
    Ready,
    Started,
    decode_request,
    encode_event,
)
from seqscale.probes.execute import execute, in_order
from seqscale.probes.failures import outcome_of
from seqscale.probes.gate import run_gate
from seqscale.probes.plan import Forecast, over_budget
from seqscale.probes.registry import probe_of
from seqscale.records import Block
from seqscale.rows import OutcomeKind

MEMORY_SHARE = 0.85
_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
_ID_BYTES = 64  # room for a cell's id, shared with the fork


class Worker:
    """Reads requests from `requests` and writes events to `events`, both file descriptors."""

    def __init__(self, requests: int, events: int) -> None:
        self._requests = requests
        self._events = events
        self._in_flight = mmap.mmap(-1, _ID_BYTES)  # the fork writes the cell it is at, this process reads it
        self._watched = False

    def send(self, event: Event) -> None:
        """Write one event, and remember which cell is in flight."""
        if isinstance(event, Begin):
            self._remember(event.cell)
        elif isinstance(event, CellDone):
            self._remember("")
        line = encode_event(event).encode()
        while line:
            line = line[os.write(self._events, line) :]

    def run(self) -> None:
        """Serve requests until `quit` or the end of stdin."""
        self.send(Ready())
        with os.fdopen(self._requests, encoding="utf-8", closefd=False) as lines:
            for line in iter(lines.readline, ""):
                match decode_request(line):
                    case GateRequest() as request:
                        self._work(request.cell.launcher, partial(self._gate, request))
                    case MeasureRequest() as request:
                        self._measure(request)
                    case QuitRequest():
                        return
                self.send(Done())

    def _gate(self, request: GateRequest) -> None:
        try:
            report = run_gate(request.cell).record()
        except (Exception, SystemExit) as error:  # whatever a layer raises
            outcome = outcome_of(error)
            misuse = isinstance(error, UsageError)
            self.send(GateDone(passed=False, kind=outcome.kind.name, reason=outcome.reason, report={}, misuse=misuse))
        else:
            self.send(GateDone(passed=True, kind=OutcomeKind.ok.name, reason=None, report=report))

    def _measure(self, request: MeasureRequest) -> None:
        block = request.block
        probe = probe_of(block.cells[0].probe)
        probe.preload()
        if not probe.alone:
            self._work(block.cells[0].launcher, partial(self._execute, request))
            return
        forecast = Forecast()
        for cell in in_order(block):
            skipped = over_budget(forecast.predict(cell), 1, block.effort)
            if skipped is not None:
                self.send(CellDone(cell=cell.id, outcome=skipped))
                continue
            single = replace(request, block=Block(cells=(cell,), effort=block.effort))
            start = time.perf_counter()
            self._work(cell.launcher, partial(self._execute, single))
            forecast.saw(cell, time.perf_counter() - start)

    def _execute(self, request: MeasureRequest) -> None:
        execute(request.block, self.send, request.launch, request.rounds_done)

    def _work(self, launcher: str, work: Callable[[], None]) -> None:
        """Do `work` in a fork, or right here for launcher `fresh`."""
        self._remember("")
        if launcher == "fresh":
            self._work_here(work)
            return
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            os._exit(self._child(parent, work))
        self._await(pid)

    def _work_here(self, work: Callable[[], None]) -> None:
        if not self._watched:
            threading.Thread(target=watch, args=(self._requests,), daemon=True).start()
            self._watched = True
        self.send(Started(pid=os.getpid()))
        limit_memory()
        work()

    def _child(self, parent: int, work: Callable[[], None]) -> int:
        """Live and die in the fork; return the exit status."""
        try:
            die_with(parent)
            limit_memory()
            self.send(Started(pid=os.getpid()))
            work()
            return 0
        except BaseException:  # a fork must never return into the parent's loop
            traceback.print_exc()
            return 1
        finally:
            sys.stdout.flush()
            sys.stderr.flush()

    def _await(self, pid: int) -> None:
        """Wait for the fork; end it, and this process, when stdin closes meanwhile."""
        handle = os.pidfd_open(pid)
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        poll.register(self._requests, 0)  # no bits asked: POLLHUP alone is reported
        ended = False
        while not ended:
            ready = {fd for fd, _ in poll.poll()}
            if self._requests in ready:
                os.kill(pid, signal.SIGKILL)
                os._exit(1)
            ended = handle in ready
        os.close(handle)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status != 0:
            self.send(Died(signal=max(0, -status), cell=self._recall()))

    def _remember(self, cell: str) -> None:
        self._in_flight[:] = cell.encode().ljust(_ID_BYTES, b"\0")

    def _recall(self) -> str | None:
        return self._in_flight[:].rstrip(b"\0").decode() or None


def die_with(parent: int) -> None:
    """Have the kernel kill this process when `parent` dies, however it dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)


def limit_memory() -> None:
    """Let this process allocate MEMORY_SHARE of what is available now, and no more."""
    facts = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(facts["MemAvailable"].split()[0]) * 1024
    used = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    data = int(used["VmData"].split()[0]) * 1024
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (data + int(MEMORY_SHARE * available), hard))


def watch(requests: int) -> None:
    """End this process when stdin closes while it measures in person (launcher `fresh`)."""
    poll = select.poll()
    poll.register(requests, 0)
    poll.poll()
    os._exit(1)


def main() -> None:
    """Take stdin and stdout for the protocol, and leave a layer that reads or prints the empty file and stderr."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, events = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = False  # float32 means float32: TF32 keeps 10 bits of a product's 23
    gc.collect()
    gc.freeze()  # what torch made at import is never garbage: collections between samples stay short
    Worker(requests, events).run()


if __name__ == "__main__":
    main()
