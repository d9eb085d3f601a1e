"""A run killed at any moment goes on where it ended: the same cells, each measured once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seqscale.store.store import Store

OWN = Path(__file__).parent / "own" / "layers.py"
LENGTHS = ",".join(str(length) for length in range(16, 112))  # many cells: seconds in which a run can be killed


def command(folder):
    return [
        sys.executable, "-m", "seqscale", "run", "--layer", f"{OWN}:Mean", "--lengths", LENGTHS, "--width", "8",
        "--claims", "time.linear-forward", "--claims", "time.linear-training",
        "--store", str(folder / "a.db"), "--report", str(folder / "a.html"), "--json",
    ]  # fmt: skip


def samples(path):
    with Store.open(path) as store:
        return {
            (row.cell.id, name, s.lane, s.launch, s.round): s.value
            for row in store.table()
            for name, seen in row.observations.items()
            for s in seen.samples
        }


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    done = subprocess.run(command(folder), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def workers(run):
    """The laboratory's processes that `run` has started and that live: other tests have theirs at the same time."""
    found = subprocess.run(
        ["pgrep", "-P", str(run.pid), "-f", "seqscale.probes.worker"], capture_output=True, text=True
    )
    return [int(pid) for pid in found.stdout.split()]


def lives(pid):
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("victim", ["parent", "worker"])
def test_a_kill_loses_the_round_in_flight_and_nothing_else(tmp_path, whole, victim):
    run = subprocess.Popen(command(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    kept = {}
    laboratories = []
    while not (kept and laboratories) and run.poll() is None:
        time.sleep(0.05)
        if (tmp_path / "a.db").exists():
            kept, laboratories = samples(tmp_path / "a.db"), workers(run)
    assert run.poll() is None, "it ended before it could be killed"
    if victim == "parent":
        run.kill()
    else:
        for pid in laboratories:
            os.kill(pid, signal.SIGKILL)
    output, _ = run.communicate()
    if victim == "parent":
        time.sleep(0.5)
        assert not any(lives(pid) for pid in laboratories), "a worker outlived its engine"
        again = subprocess.run(command(tmp_path), capture_output=True, text=True)
        assert again.returncode == 0, again.stderr
        output = again.stdout
    status, reference = json.loads(output)["status"], whole[1]["status"]
    assert status["left"] == 0
    assert sorted(status["cell_ids"]) == sorted(reference["cell_ids"])
    after = samples(tmp_path / "a.db")
    assert kept.items() <= after.items(), "a committed sample changed or vanished"


def test_a_finished_run_measures_nothing_again(whole):
    folder, _ = whole
    before = samples(folder / "a.db")
    again = subprocess.run(command(folder), capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert samples(folder / "a.db") == before


def test_ctrl_c_keeps_what_is_measured_and_exits_130(tmp_path):
    # a suite that was started in the background hands Ctrl-C down as ignored
    run = subprocess.Popen(
        command(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not (tmp_path / "a.db").exists() or not samples(tmp_path / "a.db"):
        assert run.poll() is None
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    _, errors = run.communicate()
    assert run.returncode == 130, errors
    assert "kept" in errors
    assert samples(tmp_path / "a.db")
