"""`seqscale lesson` away from a terminal: misuse, constants, text and JSON of what a lesson found."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from lesson_rows import finding

from seqscale import cli
from seqscale.kata.constants import KataConstants
from seqscale.kata.network import build
from seqscale.kata.sections import bottleneck, parallel, retrieval
from seqscale.lessons import text
from seqscale.lessons.base import UNITS
from seqscale.lessons.catalogue import LESSONS
from seqscale.lessons.constants import USES, LessonConstants, option_of
from seqscale.verdicts.catalogue import CLAIMS

EVERY = pytest.mark.parametrize("number", LESSONS)
KATA = KataConstants()


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
        (["2", "--encoded", "1"], "--encoded 1: the lesson compares the state after 2 tokens with the one after the"),
        (["2", "--encoded", "1,2"], "--encoded 1,2: the lesson compares the state after 2 tokens with the one after"),
        (["2", "--encoded", "2"], "last; let that be 3 at least, as by --encoded 2,20."),
        (["2", "--tokens", "9", "--encoded", "1"], "let that be 3 at least, as by --encoded 2,9."),
        (["2", "--tokens", "2"], "--tokens 2: the lesson compares the state after 2 tokens with the one after the"),
        (["2", "--tokens", "2", "--encoded", "1,2"], "let that be 3 at least, as by --tokens 20."),
        (["2", "--encoded", "99"], "--encoded 99: only 20 tokens are made"),
        (["2", "--sequences", "5"], "--sequences 5: give a whole number from 100 to 1,000,000."),
        (["2", "--replicates", "1"], "--replicates 1: give a whole number from 2 to 100."),
        (["2", "--noise", "nan"], "--noise nan: give a number from 0 to 10."),
        (["3", "--retrieval-length", "1"], "--retrieval-length 1: give at least 2 tokens"),
        (["3", "--positions", "15"], "--positions 15: the sequence ends at position 14"),
        (["3", "--pairs", "5"], "--pairs 5: give a whole number from 1 to 4."),
        (["3", "--keys", "1"], "--keys 1: give a whole number from 2 to 64."),
        (["3", "--recalled", "16"], "--recalled 16: give at least two lengths, rising"),
        (["3", "--recalled", "16,8"], "--recalled 16,8: give at least two lengths, rising"),
        (["3", "--recalled", "3,8"], "--recalled 3: give a whole number from 4 to 1,024."),
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
    assert list(LESSONS) == list(USES) == [1, 2, 3, 4]
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


# -- what is shown ---------------------------------------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize("predict", [None, "1"])
def test_json_is_one_document_with_units_and_intervals(seqscale, monkeypatch, number, predict):
    monkeypatch.setattr(type(LESSONS[number]), "learn", lambda *_: finding(number))
    value = predict if predict is None or number < 3 else "c"
    code, out, _ = seqscale("lesson", number, "--json", *([] if value is None else ["--predict", value]))
    found = json.loads(out)
    assert (code, found["lesson"], found["title"]) == (0, number, LESSONS[number].title)
    if predict is None:
        assert found["prediction"] is None, "nothing is asked where stdin is no terminal"
    else:
        assert found["prediction"].keys() == {"question", "value", "unit", "text", "right", "measured"}
        assert found["prediction"]["value"] == (1.0 if number < 3 else "c")
    assert found["constants"].keys() == set(USES[number]) | {"layer"}
    assert all(constant["unit"] for constant in found["constants"].values())
    for side in ("kata", "instrument"):
        assert len({entry["name"] for entry in found[side]}) == len(found[side]) > 0
        for entry in found[side]:
            assert entry.keys() == {"name", "value", "unit", "low", "high"} and entry["unit"]
            assert entry["value"] is not None or entry["low"] <= entry["high"]
    assert all(entry["low"] is None for entry in found["kata"]), "the kata has no intervals"
    assert any(entry["low"] is not None for entry in found["instrument"])
    assert found["sentence"] == finding(number).sentence
    assert found["claims"] and set(found["claims"]) <= CLAIMS.keys()


def test_the_katas_side_is_the_katas_own_numbers():
    kata = {number: {n.name: n.value for n in finding(number).numbers("kata")} for number in LESSONS}
    network = build(KATA)
    for row in bottleneck(KATA, network):
        if row.encoded in (2, 20):
            assert kata[2][f"kata, similarity to the first token after {row.encoded}"] == row.first_similarity
    shown = [row for row in retrieval(KATA, network) if row.position in KATA.positions]
    for row in shown:
        assert kata[3][f"kata, similarity to the token {row.distance} tokens ago"] == row.similarity
    assert len(shown) == len(KATA.positions)
    for row in parallel(KATA):
        assert kata[4][f"kata, steps of attention, {row.length:,} tokens"] == row.attention_steps


@EVERY
@pytest.mark.parametrize("terminal_columns", [20, 80, 300])
def test_text_fits_the_terminal_judges_the_prediction_and_ends_with_the_sentence(number, terminal_columns):
    lesson, found, columns = LESSONS[number], finding(number), text.columns_of(terminal_columns)
    assert text.FEWEST <= columns <= text.MOST
    prediction = lesson.question(LessonConstants()).read("1" if number < 3 else "c")
    head = text.heading(lesson, LessonConstants(), columns).splitlines()
    lines = [*head, *text.render(found, prediction, columns).splitlines()]
    assert lines[0] == f"Lesson {number}: {lesson.title}"
    for label in ("the kata", "elman"):
        assert any(line.startswith(f"  {label}: ") for line in head), "what is looked at is explained"
    assert all(len(line) <= columns and line.isascii() for line in lines), max(lines, key=len)
    whole = " ".join(" ".join(lines).split())
    verdict = {True: "Right", False: "Not so", None: "Left open"}[found.answer.right(prediction)]
    assert whole.endswith(
        f"Your prediction: {prediction.text}. Measured: {found.answer.text}. {verdict}. => {found.sentence} "
        f"-> Asked of every layer, with a verdict, by `seqscale run`: {', '.join(found.claims)}."
    )
    assert "Your prediction" not in text.render(found, None, columns)
