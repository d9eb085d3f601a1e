"""`seqscale lesson`: the prompt on a real terminal, none elsewhere, text, JSON, misuse, and each lesson end to end."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest

from seqscale import cli
from seqscale.kata.constants import KataConstants
from seqscale.kata.network import build
from seqscale.kata.sections import retrieval
from seqscale.lessons import text
from seqscale.lessons.base import UNITS, record
from seqscale.lessons.catalogue import LESSONS
from seqscale.lessons.constants import USES, LessonConstants, option_of
from seqscale.verdicts.catalogue import CLAIMS

WORDS = ("--lengths", "4,8,16", "--rounds", "2")
SMALL = {"sequences": 300, "replicates": 2, "layer": ("elman",)}
TINY = {
    1: LessonConstants.of(1, {"lengths": (4, 8, 16), "rounds": 2}),
    2: LessonConstants.of(2, {"encoded": (2, 4), **SMALL}),
    3: LessonConstants.of(
        3, {"retrieval_length": 4, "pairs": (1, 2), "steps": 3, "rates": (0.01,), "models": 2, **SMALL}
    ),
    4: LessonConstants.of(
        4,
        {
            "input_size": 4,
            "hidden_size": 4,
            "parallel_lengths": (8, 64),
            "cores": 64,
            "layer": ("diagonal/scan", "attention"),  # of few kernels, which are counted in no time
        },
    ),
}
EVERY = pytest.mark.parametrize("number", TINY)


@pytest.fixture
def seqscale(monkeypatch, capsys):
    """Run the command line in this process; return exit status, stdout, stderr."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["seqscale", *map(str, words)])
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        return code, *capsys.readouterr()

    return run


# -- misuse ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["5"], "lesson 5: give a whole number from 1 to 4."),
        (["0"], "lesson 0: give a whole number from 1 to 4."),
        (["two"], "lesson two: give a whole number from 1 to 4."),
        (["1", "--cores", "3"], "--cores is not read by lesson 1: it belongs to lesson 4."),
        (["4", "--tokens", "3"], "--tokens is not read by lesson 4: it belongs to lesson 2 and 3."),
        (["1", "--lengths", "5"], "--lengths 5: give at least two lengths"),
        (["1", "--lengths", "5,b"], "--lengths '5,b': give numbers with commas, such as --lengths 50,100,200."),
        (["1", "--lengths", "9,5"], "give --lengths 5,9."),
        (["1", "--rounds", "1"], "--rounds 1: give a whole number from 2 to 1,000."),
        (["1", "--layer", "gruu"], "unknown layer 'gruu': did you mean gru"),
        (["1", "--layer", "gru", "--layer", "lru"], "--layer lru: lesson 1 looks at one layer, gru already."),
        (["1", "--hidden-size", "4"], "--hidden-size 4: give a whole number from 8 (--input-size)"),
        (["1", "--predict", "fast"], "prediction 'fast': write a number from 0.1 to 100."),
        (["2", "--predict", "3.5"], "prediction '3.5': write a number from 0 to 3."),
        (["2", "--input-size", "1"], "--input-size 1: give a whole number from 2 to 64"),
        (["2", "--encoded", "1"], "--encoded 1: at least 2 tokens must be read"),
        (["2", "--encoded", "99"], "--encoded 99: only 20 tokens are made"),
        (["2", "--sequences", "5"], "--sequences 5: give a whole number from 100 to 1,000,000."),
        (["2", "--replicates", "1"], "--replicates 1: give a whole number from 2 to 100."),
        (["2", "--noise", "nan"], "--noise nan: give a number from 0 to 10."),
        (["3", "--retrieval-length", "1"], "--retrieval-length 1: give at least 2 tokens"),
        (["3", "--positions", "15"], "--positions 15: the sequence ends at position 14"),
        (["3", "--pairs", "5"], "--pairs 5: give a whole number from 1 to 4."),
        (["3", "--keys", "1"], "--keys 1: give a whole number from 2 to 64."),
        (["3", "--pairs", "4,2"], "--pairs 4,2: give rising whole numbers"),
        (["3", "--rates", "0"], "--rates 0.0: give numbers from 1e-07 to 10."),
        (["3", "--models", "1"], "--models 1: give a whole number from 2 to 100."),
        (["3", "--predict", "d"], "prediction 'd': write a, b or c."),
        (["4", "--cores", "0"], "--cores 0: give a whole number from 1"),
        (["4", "--layer", "gru"], "--layer: lesson 4 compares two layers, not gru alone; name two."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)  # fmt: skip
def test_misuse_is_explained_in_a_line_before_anything_is_measured(seqscale, words, said):
    code, out, err = seqscale("lesson", *words)
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1 and "Traceback" not in err


def test_a_number_that_is_no_number_is_misuse(seqscale):
    code, out, err = seqscale("lesson", "1", "--rounds", "many")
    assert (code, out) == (2, "") and "--rounds" in err


# -- constants -------------------------------------------------------------------------------------------------------


def test_there_are_four_lessons_and_each_reads_constants_that_have_units():
    assert list(LESSONS) == list(USES) == list(TINY) == [1, 2, 3, 4]
    for names in USES.values():
        assert len(set(names)) == len(names)
        assert set(names) <= UNITS.keys()
        for name in names:
            LessonConstants().value(name)


def test_every_constant_of_a_lesson_is_an_option(seqscale):
    _, text, _ = seqscale("lesson", "--help")
    for name in {name for names in USES.values() for name in names}:
        assert option_of(name) in text


def test_lists_follow_a_shorter_sequence_that_was_named():
    assert LessonConstants.of(3, {"retrieval_length": 5}).kata.positions == (0, 3)
    assert LessonConstants.of(3, {"retrieval_length": 5, "positions": (1, 2)}).kata.positions == (1, 2)
    assert LessonConstants.of(2, {"token_count": 7}).kata.encoded == (2, 5)
    assert LessonConstants.of(2, {"token_count": 1}).kata.encoded == (1,)
    assert LessonConstants.of(1, {}).kata == KataConstants()


def test_importing_the_verb_imports_neither_numpy_nor_torch():
    code = "import sys, seqscale.cli.lesson; print(sorted({'numpy', 'torch', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -- end to end ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lessons():
    """Return lesson -> its constants and what it found, at tiny sizes."""
    return {
        number: (constants, LESSONS[number].learn(constants, lambda progress: None))
        for number, constants in TINY.items()
    }


@EVERY
def test_the_record_holds_both_sides_with_units_and_intervals(lessons, number):
    constants, finding = lessons[number]
    found = json.loads(json.dumps(record(LESSONS[number], constants, None, finding), allow_nan=False))
    assert found["lesson"] == number
    assert (found["prediction"], found["not_measured"]) == (None, [])
    assert set(found["constants"]) == set(USES[number])
    assert all(constant["unit"] for constant in found["constants"].values())
    for side in ("kata", "instrument"):
        assert found[side]
        assert len({entry["name"] for entry in found[side]}) == len(found[side])
        for entry in found[side]:
            assert entry.keys() == {"name", "value", "unit", "low", "high"} and entry["unit"]
            assert entry["value"] is not None or entry["low"] <= entry["high"]
    assert all(entry["low"] is None for entry in found["kata"]), "the kata has no intervals"
    known = [e for e in found["instrument"] if e["low"] is not None]  # without a share that is computed
    assert all(e["low"] <= (e["low"] if e["value"] is None else e["value"]) <= e["high"] for e in known)
    assert len(known) >= 0.7 * len(found["instrument"])
    assert found["sentence"].endswith(".") and "nothing follows" not in found["sentence"]
    assert found["claims"] and set(found["claims"]) <= CLAIMS.keys()


def test_the_katas_side_is_the_katas_own_numbers(lessons):
    kata = {number: {n.name: n.value for n in finding.numbers("kata")} for number, (_, finding) in lessons.items()}
    assert kata[2]["kata, similarity to the first token after 2"] == pytest.approx(-0.3615, abs=1e-4)
    assert kata[3]["kata, similarity to the token 0 tokens ago"] == pytest.approx(
        retrieval(TINY[3].kata, build(TINY[3].kata))[-1].similarity
    )
    assert kata[4]["kata, recurrent steps over attention's, 64 tokens"] == 64 / (64 * 64 // 64 + 1)


@EVERY
@pytest.mark.parametrize("terminal_columns", [20, 80, 300])
def test_text_fits_the_terminal_judges_the_prediction_and_ends_with_the_sentence(lessons, number, terminal_columns):
    constants, finding = lessons[number]
    lesson, columns = LESSONS[number], text.columns_of(terminal_columns)
    assert text.FEWEST <= columns <= text.MOST
    prediction = lesson.question(constants).read("1" if number < 3 else "c")
    lines = [*text.heading(lesson, columns).splitlines(), *text.render(finding, prediction, columns).splitlines()]
    assert lines[0] == f"Lesson {number}: {lesson.title}"
    assert all(len(line) <= columns and line.isascii() for line in lines), max(lines, key=len)
    whole = " ".join(" ".join(lines).split())
    verdict = {True: "Right", False: "Not so", None: "Left open"}[finding.answer.right(prediction)]
    assert whole.endswith(
        f"Your prediction: {prediction.text}. Measured: {finding.answer.text}. {verdict}. => {finding.sentence} "
        f"-> Asked of every layer, with a verdict, by `seqscale run`: {', '.join(finding.claims)}."
    )
    assert "Your prediction" not in text.render(finding, None, columns)


def test_where_stdin_is_no_terminal_nothing_is_asked_and_json_is_one_document():
    done = subprocess.run(
        [sys.executable, "-m", "seqscale", "lesson", "1", *WORDS, "--predict", "2", "--json"],
        capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["constants"]["lengths"] == {"value": [4, 8, 16], "unit": "tokens"}
    assert found["prediction"].keys() == {"question", "value", "unit", "text", "right", "measured"}
    assert (found["prediction"]["value"], found["prediction"]["unit"]) == (2.0, "times")


# -- on a terminal ---------------------------------------------------------------------------------------------------


class Terminal:
    """A seqscale on a pseudo terminal: what it has written so far, and how it ended."""

    def __init__(self, *words):
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            os.environ["COLUMNS"] = "90"
            os.execv(sys.executable, [sys.executable, "-m", "seqscale", "lesson", *words])
        self.text = ""

    def wait_for(self, words, seconds=90):
        """Read until `words` have come since the last call; return what came."""
        end, start = time.monotonic() + seconds, len(self.text)
        while words not in self.text[start:]:
            assert time.monotonic() < end, f"no '{words}' in:\n{self.text}"
            if select.select([self.file], [], [], 0.2)[0] and not self._more():
                break
        assert words in self.text[start:], self.text
        return self.text[start:]

    def _more(self):
        try:
            found = os.read(self.file, 65536)
        except OSError:  # Linux says so when the other side has closed
            return False
        self.text += found.decode(errors="replace").replace("\r\n", "\n")
        return bool(found)

    def write(self, data):
        os.write(self.file, data)

    def press(self, key, seconds=60):
        """Press a key until the program ends: one that comes between prompt and read is lost."""
        end = time.monotonic() + seconds
        while not self.ended(0.5):
            assert time.monotonic() < end, self.text
            self.write(key)

    def ended(self, seconds):
        """Read for so long; return whether the program closed its terminal."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self.file], [], [], 0.05)[0] and not self._more():
                return True
        return False

    def status(self, seconds=90):
        """Read to the end; return the exit status."""
        assert self.ended(seconds), self.text
        os.close(self.file)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def terminal():
    """Start lessons on terminals, and leave none behind."""
    started = []

    def start(*words):
        started.append(Terminal(*words))
        return started[-1]

    yield start
    for one in started:
        try:
            os.kill(one.pid, signal.SIGKILL)
            os.waitpid(one.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


def test_on_a_terminal_it_asks_until_the_answer_is_allowed_and_then_judges_it(terminal):
    run = terminal("1", *WORDS)
    asked = run.wait_for("Your prediction (a number from 0.1 to 100): ")
    assert "How many times as long does it take?" in " ".join(asked.split())
    run.write(b"banana\n")
    assert "prediction 'banana': write a number from 0.1 to 100." in run.wait_for("0.1 to 100): ")
    run.write(b"\x1b[A\xff\n")
    assert "write a number from 0.1 to 100." in run.wait_for("0.1 to 100): ")
    run.write(b"1e9\n")
    assert "prediction '1e9'" in run.wait_for("0.1 to 100): ")
    run.write(b"2\n")
    run.wait_for("=> ")
    assert run.status() == 0
    assert "Your prediction: 2 times. Measured: " in run.text and "Traceback" not in run.text


@pytest.mark.parametrize(("key", "status"), [(b"\x04", 0), (b"\x03", 130)], ids=["Ctrl-D", "Ctrl-C"])
@pytest.mark.parametrize("number", [1, 3])  # a number, a choice
def test_a_key_leaves_the_prompt_cleanly(terminal, number, key, status):
    run = terminal(str(number))
    run.wait_for("Your prediction (")
    run.press(key)
    assert run.status() == status
    assert "Traceback" not in run.text and "=> " not in run.text


def test_yes_asks_nothing_and_a_measurement_can_be_left(terminal):
    run = terminal("4", "--yes")
    run.wait_for("elman")  # the layer in hand, on the line of progress
    run.press(b"\x03")
    assert run.status() == 130
    assert "prediction" not in run.text and "Traceback" not in run.text
