"""The command line: every misuse is one or two lines that name what was written and the cure, and exits with 2."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from seqscale import cli
from seqscale.cli.run import again
from seqscale.layers.catalogue import LAYERS
from seqscale.request import resolve
from seqscale.store.store import Store
from seqscale.studies.base import questions
from seqscale.studies.catalogue import STUDIES
from seqscale.verdicts.catalogue import CLAIMS

OWN = Path(__file__).parent / "own"


@pytest.fixture
def seqscale(monkeypatch, capsys, tmp_path):
    """Run the command line in this process and an empty folder; return exit status, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["seqscale", *map(str, words)])
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        return code, *capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "quik"], "unknown study 'quik': did you mean quick?"),
        (["run", "--layer", "gruu"], "unknown layer 'gruu': did you mean gru or lru?"),
        (["run", "--layer", "gru", "--layer", "gru"], "named twice"),
        (["run", "--layer", "gru/packed"], "unknown algorithm of gru 'packed'"),
        (["run", "--layer", "none.py:A"], "cannot read 'none.py'"),
        (["run", "--layer", "nomodule:A"], "no module 'nomodule'"),
        (["run", "--layer", OWN / "layers.py:Men"], "did you mean Mean?"),
        (["run", "--claims", "time.linear"], "unknown claim 'time.linear': did you mean"),
        (["run", "--until", "memory.bptt"], "unknown claim 'memory.bptt': did you mean memory.bptt-linear"),
        (["run", "--lengths", "0"], "--lengths 0: a length must be at least 1"),
        (["run", "--lengths", "-4:8"], "a length must be at least 1, not -4"),
        (["run", "--lengths", "abc"], "'abc' is not a whole number"),
        (["run", "--lengths", "64:32"], "FIRST <= LAST"),
        (["run", "--width", "0"], "--width 0"),
        (["run", "--dtype", "float16"], "--dtype float16: must be one of float32"),
        (["run", "--device", "tpu"], "--device tpu: must be cpu or cuda"),
        (["run", "--threads", "4096"], "--threads 4096"),
        (["run", "--budget", "soon"], "--budget soon: write seconds"),
        (["run", "--option", "a=1"], "--option belongs to a layer"),
        (["run", "--option", "a", "--layer", "gru"], "--option a: write --option key=value"),
        (
            ["run", "--layer", "gru", "--option", "hidden=8", "--option", "hidden=4"],
            "--option hidden=4: hidden is given already, as hidden=8; give it once.",
        ),
        (
            ["measure", "time", "gru", "--condition", "a=1", "--condition", "b=1", "--condition", "a=1"],
            "--condition a=1: a is given already, as a=1; give it once.",
        ),
        (["run", "--report", "no/such/r.html"], "there is no directory no/such"),
        (["run", "--store", "no/such/a.db"], "there is no directory no/such"),
        (["measure", "tim", "gru"], "unknown probe 'tim': did you mean time?"),
        (["measure", "memory", "gru", "--mode", "decode"], "--mode decode: probe memory measures forward, training"),
        (["list", "layer"], "unknown list 'layer': did you mean layers"),
        (["run", "--report", OWN], "is a directory: name a file"),
        (["run", "--report", OWN / "layers.py"], "exists and is no report"),
        (["measure", "time", "gru", "--length", "99999999999"], "length 99999999999: must be a whole number from 1 to"),
        (["claims", "none.db"], "there is no store at none.db"),
        (["claims", "none.db", "--claims", "time.linear"], "unknown claim 'time.linear': did you mean time.linear-"),
        (["status", OWN / "layers.py"], "is not a seqscale store"),
    ],
    ids=lambda value: " ".join(map(str, value))[-60:] if isinstance(value, list) else None,
)
def test_misuse_is_explained_in_a_line(seqscale, words, said):
    code, out, err = seqscale(*words)
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) <= 2 and "Traceback" not in err


BROKEN = {
    "imports.py": ("import nosuchmodule\nA = 1\n", "No module named 'nosuchmodule'"),
    "calls.py": ("from torch import nn\nclass A(nn.Module):\n    def __init__(self): super().__init__()\n", "A(64)"),
    "raises.py": ("class A:\n    def __init__(self, width): raise ValueError('boom')\n", "ValueError: boom"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_layer_file_that_cannot_be_built_shows_its_own_error(seqscale, name):
    text, said = BROKEN[name]
    Path(name).write_text(text)
    code, _, err = seqscale("run", "--layer", f"{name}:A", "--claims", "time.linear-forward")
    assert code == 2
    assert said in err and "Traceback" not in err
    with Store.open("seqscale.db") as store:
        assert not store.questions() and not len(store.table()), "what could not be built left a trace"


def test_debug_shows_the_traceback(seqscale):
    code, _, err = seqscale("list", "layer", "--debug")
    assert code == 2 and "Traceback" in err


def test_a_second_run_on_a_store_in_use_is_refused(seqscale):
    with Store.writer("seqscale.db"):
        code, _, err = seqscale("run", "--claims", "memory.decode-state", "--layer", "gru")
    assert code == 2 and "seqscale.db" in err and "Traceback" not in err


def test_a_layer_that_leaks_is_rejected_and_no_crash(seqscale):
    code, out, _ = seqscale("measure", "time", OWN / "layers.py:Leaks", "--length", "16", "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["outcome"], found["observations"]) == ("rejected", [])
    assert "changing x[" in found["reason"]


def test_an_own_layer_whose_state_cannot_be_read_is_told_what_it_lacks(seqscale):
    own = OWN / "remembering.py:NeverStarts"
    code, out, _ = seqscale("measure", "token-bits", own, "--length", "2", "--width", "2", "--condition", "symbols=2")
    said, cure = out.splitlines()[-2:]
    assert code == 0
    assert said.strip().startswith("unsupported: ") and said.endswith("it has a step but no initial_state.")
    assert cure.strip().endswith("; a layer of your own may need `step` and `initial_state`.")


def test_measure_prints_the_cell_and_its_quantities_with_units(seqscale):
    code, out, _ = seqscale("measure", "count", "gru/reference", "--length", "8", "--mode", "training", "--json")
    found = json.loads(out)
    assert code == 0 and found["outcome"] == "ok" and found["cell"]["algorithm"] == "reference"
    saved = next(o for o in found["observations"] if o["quantity"] == "saved_bytes")
    assert (saved["unit"], saved["value"]) == ("B", 32 * 8 * 64)


def test_claims_are_those_that_were_named(seqscale):
    state, time, never = "memory.decode-state", "time.linear-forward", "memory.bptt-linear"
    with Store.writer("s.db") as store:  # asked and not measured
        store.add_questions(
            "quick", questions(STUDIES["quick"], resolve(layers=("gru/library",), claims=(state, time)))
        )

    def named(*words):
        code, out, _ = seqscale("claims", "s.db", "--json", *words)
        assert code == 0
        return json.loads(out)

    everything = named()
    assert {found["claim"] for found in everything} == {state, time}
    assert named("--claims", state) == [found for found in everything if found["claim"] == state]
    assert named("--claims", time, "--claims", state) == everything
    text = seqscale("claims", "s.db", "--claims", state)[1]
    assert text.startswith("1 claim, 1 verdict: 0 supported, 0 contradicted, 1 undecided.\n") and time not in text
    code, out, err = seqscale("claims", "s.db", "--claims", state, "--claims", never)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert f"unknown claim of s.db '{never}': known: {state}, {time}." in err


def test_what_is_no_report_is_never_overwritten(seqscale, tmp_path):
    seqscale("run", "--claims", "memory.decode-state", "--layer", "gru", "--lengths", "8,16,32", "--store", "s.db")
    for words in (["report", "s.db", "-o", "s.db"], ["export", "s.db", "-o", "s.db"]):
        code, _, err = seqscale(*words)
        assert code == 2 and "s.db" in err and "Traceback" not in err
    assert seqscale("claims", "s.db")[0] == 0
    assert seqscale("report", "s.db", "-o", "r.html")[0] == seqscale("report", "s.db", "-o", "r.html")[0] == 0


def test_the_command_that_decides_is_the_one_that_was_typed(seqscale):
    assert again(["run", "--layer", "a b.py:X", "--until", "c", "--budget=9", "--fresh", "--store", "s.db"]) == (
        "seqscale run --layer 'a b.py:X' --store s.db"
    )


def test_version_names_what_numbers_depend_on(seqscale):
    code, out, _ = seqscale("--version")
    assert code == 0 and "seqscale 0" in out and "torch 2" in out


def test_a_layer_that_hangs_at_the_gate_is_stopped_by_the_budget(seqscale):
    Path("h.py").write_text(
        "import time\nfrom torch import nn\n\nclass H(nn.Module):\n"
        "    def __init__(self, width): super().__init__()\n    def forward(self, x): time.sleep(3600)\n"
    )
    code, out, err = seqscale("run", "--layer", "h.py:H", "--claims", "time.linear-forward", "--budget", "5s")
    assert code == 0, err
    assert "undecided" in out


def test_list_names_what_there_is(seqscale):
    for what, names in (("layers", LAYERS), ("claims", CLAIMS), ("studies", STUDIES)):
        _, out, _ = seqscale("list", what, "--json")
        assert [entry["name"] for entry in json.loads(out)] == list(names)
        _, text, _ = seqscale("list", what)
        assert all(len(line) <= 100 for line in text.splitlines()) and next(iter(names)) in text
