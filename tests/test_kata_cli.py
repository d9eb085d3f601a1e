"""`seqscale kata`: its text, its JSON, its options, its errors."""

import dataclasses
import inspect
import json
import subprocess
import sys

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from seqscale.cli.kata import kata
from seqscale.errors import UsageError
from seqscale.kata.constants import COUNT_LIMIT, PICTURE_LIMIT, KataConstants
from seqscale.kata.replay import replay
from seqscale.kata.text import COLUMNS, render

SHORT = ("--lengths", "3,5")


def run(*arguments):
    app = typer.Typer(rich_markup_mode=None)
    app.command("kata")(kata)
    return CliRunner().invoke(app, list(arguments))


def test_the_text_prints_every_section_with_the_programs_numbers():
    result = run(*SHORT)
    assert result.exit_code == 0, result.output
    for words in (
        "Changed from the program's own: lengths.",
        "20       +0.3228     token 0      +0.3228             4 of 8",
        "10          4     +0.4730",
        "4,096       4,096     16,385   0.25x",
        "1>2>3>4>5>6>7>8  |======== 8 steps",
        "8,192  1,024                 33.55 MB             25.77 GB",
        "10,000 x 1,024 x 4 B = 40.96 MB",
        "[ h_1000 ]",
        "1,000              0.512  #",
    ):
        assert words in result.output


def test_under_each_section_stands_its_computed_line():
    constants = KataConstants(lengths=(3, 5))
    result = replay(constants)
    flat = " ".join(render(result).split())
    assert flat.count("=> ") == len(result.findings) == 6
    for finding in result.findings:
        assert f"=> {finding.text} -> {finding.answer}" in flat


def test_json_is_one_document_with_the_same_numbers():
    result = run("--json", *SHORT)
    assert result.exit_code == 0, result.output
    printed, expected = json.loads(result.stdout), replay(KataConstants(lengths=(3, 5))).record()
    for key in ("forward", "bottleneck", "retrieval", "parallel", "bptt_bytes", "dims_per_token"):
        assert printed[key] == expected[key]


def test_every_constant_is_an_option_that_reaches_the_replay():
    own = {f.name for f in dataclasses.fields(KataConstants)}
    names = {"tokens" if name == "token_count" else name for name in own}
    assert set(inspect.signature(kata).parameters) == names | {"as_json"}
    changed = {
        "input_size": 5,
        "hidden_size": 7,
        "seed_h": 3,
        "seed_x": 4,
        "scale_h": 0.5,
        "scale_x": -0.25,
        "lengths": [2, 3],
        "token_count": 9,
        "encoded": [1, 9],
        "retrieval_length": 6,
        "positions": [0, 5],
        "parallel_lengths": [10],
        "cores": 3,
        "memory_lengths": [7],
        "memory_hidden": [11, 13],
        "layers": 2,
        "batch": 5,
        "example_length": 17,
        "example_hidden": 19,
        "dims": 23,
        "dims_lengths": [29],
        "picture_steps": 4,
    }
    assert changed.keys() == own
    arguments = ["--json"]
    for name, value in changed.items():
        option = "--tokens" if name == "token_count" else f"--{name.replace('_', '-')}"
        arguments += [option, ",".join(map(str, value)) if isinstance(value, list) else str(value)]
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    assert {name: item["value"] for name, item in printed["constants"].items()} == changed
    assert printed["bptt_bytes"] == [{"seq_len": 7, "h11": 308, "h13": 364}]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--lengths", "50,abc"), "--lengths '50,abc': give whole numbers with commas"),
        (("--lengths", "50,,100"), "--lengths '50,,100': give whole numbers with commas"),
        (("--lengths", ""), "--lengths '': give whole numbers"),
        (("--lengths", "-5"), "--lengths -5: -5 is not possible"),
        (("--lengths", "0"), "--lengths 0: 0 is not possible"),
        (("--hidden-size", "0"), "--hidden-size 0: give a whole number from 1"),
        (("--scale-h", "nan"), "--scale-h nan: give a finite number"),
        (("--tokens", "5"), "--encoded 2,5,10,15,20: only 5 tokens are made"),
    ],
)
def test_bad_input_raises_a_usage_error_and_prints_nothing(arguments, words):
    result = run(*arguments)
    assert isinstance(result.exception, UsageError)
    assert words in str(result.exception)
    assert result.stdout == ""


def test_a_word_where_a_number_belongs_is_misuse():
    assert run("--hidden-size", "many").exit_code == 2


COUNTS = st.sampled_from([1, 2, 999, 10**6, COUNT_LIMIT])
MANY = st.lists(COUNTS, min_size=1, max_size=5, unique=True).map(lambda values: tuple(sorted(values)))


@given(COUNTS, MANY, MANY, MANY, MANY, COUNTS, st.integers(1, PICTURE_LIMIT), st.sampled_from([1, 64]))
@settings(deadline=None, max_examples=40)
def test_no_line_is_wider_than_a_terminal(cores, parallel, rows, columns, shared, count, picture, size):
    result = replay(
        KataConstants(
            input_size=size,
            hidden_size=size,
            lengths=(1, 3),
            parallel_lengths=parallel,
            cores=cores,
            memory_lengths=rows,
            memory_hidden=columns,
            layers=count,
            batch=count,
            example_length=count,
            example_hidden=count,
            dims=count,
            dims_lengths=shared,
            picture_steps=picture,
        )
    )
    text = render(result)
    assert text.isascii()
    assert max(len(line) for line in text.splitlines()) <= COLUMNS
    assert all(line == line.rstrip() for line in text.splitlines())


def test_importing_the_verb_imports_neither_numpy_nor_torch():
    code = "import sys, seqscale.cli.kata; print(sorted({'numpy', 'torch', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_replay_needs_numpy_alone():
    code = (
        "import sys; from seqscale.cli.kata import kata; from seqscale.kata.replay import replay; "
        "import seqscale.kata.text; print(sorted({'torch', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
