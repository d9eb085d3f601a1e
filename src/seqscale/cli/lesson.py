"""`seqscale lesson`: the kata's four exercises, with a prediction first."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from seqscale.cli.output import print_json
from seqscale.cli.shared import Json
from seqscale.errors import UsageError
from seqscale.lessons.constants import USES, LessonConstants

if TYPE_CHECKING:
    from seqscale.lessons.question import AbstractQuestion, Prediction

T = TypeVar("T")
OWN = LessonConstants()
LIST = "comma separated, rising"


def _help(name: str, text: str) -> str:
    """Return the help of an option: what it means, which lessons read it, and its default."""
    value = OWN.value(name)
    shown = ",".join(f"{part:g}" for part in value) if isinstance(value, list) else str(value)
    readers = ", ".join(str(number) for number, names in USES.items() if name in names)
    return f"{text} [lesson {readers}; default {shown or 'its own choice'}]"


def lesson(
    number: Annotated[str, typer.Argument(metavar="N", help="1, 2, 3 or 4.")],
    predict: Annotated[str | None, typer.Option("--predict", help="Your prediction, so that nothing is asked.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ask for no prediction.")] = False,
    input_size: Annotated[int | None, typer.Option(help=_help("input_size", "Numbers in a token."))] = None,
    hidden_size: Annotated[int | None, typer.Option(help=_help("hidden_size", "Numbers in the state."))] = None,
    seed_h: Annotated[int | None, typer.Option(help=_help("seed_h", "Seed of the kata's recurrent matrix."))] = None,
    seed_x: Annotated[int | None, typer.Option(help=_help("seed_x", "Seed of its input matrix."))] = None,
    scale_h: Annotated[float | None, typer.Option(help=_help("scale_h", "Scale of its recurrent matrix."))] = None,
    scale_x: Annotated[float | None, typer.Option(help=_help("scale_x", "Scale of its input matrix."))] = None,
    lengths: Annotated[str | None, typer.Option(help=_help("lengths", f"Tokens in the passes, {LIST}."))] = None,
    rounds: Annotated[int | None, typer.Option(help=_help("rounds", "Times that each is timed, at least."))] = None,
    tokens: Annotated[int | None, typer.Option(help=_help("token_count", "Tokens that the kata makes."))] = None,
    encoded: Annotated[str | None, typer.Option(help=_help("encoded", f"How many are read, {LIST}."))] = None,
    retrieval_length: Annotated[int | None, typer.Option(help=_help("retrieval_length", "Tokens read."))] = None,
    positions: Annotated[str | None, typer.Option(help=_help("positions", f"Positions shown, {LIST}."))] = None,
    sequences: Annotated[int | None, typer.Option(help=_help("sequences", "Sequences for the decoder."))] = None,
    replicates: Annotated[int | None, typer.Option(help=_help("replicates", "Draws of weights and data."))] = None,
    noise: Annotated[
        float | None, typer.Option(help=_help("noise", "Noise of reading a state, of its spread."))
    ] = None,
    keys: Annotated[int | None, typer.Option(help=_help("keys", "Kinds of keys, and of values, to recall."))] = None,
    pairs: Annotated[int | None, typer.Option(help=_help("pairs", "Pairs to recall."))] = None,
    recalled: Annotated[
        str | None, typer.Option(help=_help("recalled", f"Tokens that pairs are recalled after, {LIST}."))
    ] = None,
    steps: Annotated[int | None, typer.Option(help=_help("steps", "Training steps."))] = None,
    rates: Annotated[str | None, typer.Option(help=_help("rates", f"Learning rates, {LIST}."))] = None,
    models: Annotated[int | None, typer.Option(help=_help("models", "Networks trained at each rate."))] = None,
    parallel_lengths: Annotated[str | None, typer.Option(help=_help("parallel_lengths", f"Tokens, {LIST}."))] = None,
    cores: Annotated[int | None, typer.Option(help=_help("cores", "Cores."))] = None,
    layer: Annotated[list[str] | None, typer.Option(help=_help("layer", "Look at these; may be repeated."))] = None,
    seed: Annotated[int | None, typer.Option(help=_help("seed", "Seed of weights and inputs."))] = None,
    json: Json = False,
) -> None:
    """Predict, then see the kata's number beside an instrument's: 1 time, 2 encoding, 3 retrieval, 4 parallel work."""
    if number not in map(str, USES):
        raise UsageError(f"lesson {number}: give a whole number from 1 to {max(USES)}.")
    given = {
        "input_size": input_size,
        "hidden_size": hidden_size,
        "seed_h": seed_h,
        "seed_x": seed_x,
        "scale_h": scale_h,
        "scale_x": scale_x,
        "lengths": _list("--lengths", lengths, int, "50,100,200"),
        "rounds": rounds,
        "token_count": tokens,
        "encoded": _list("--encoded", encoded, int, "2,5,10"),
        "retrieval_length": retrieval_length,
        "positions": _list("--positions", positions, int, "0,3,7"),
        "sequences": sequences,
        "replicates": replicates,
        "noise": noise,
        "keys": keys,
        "pairs": pairs,
        "recalled": _list("--recalled", recalled, int, "4,16"),
        "steps": steps,
        "rates": _list("--rates", rates, float, "0.003,0.01"),
        "models": models,
        "parallel_lengths": _list("--parallel-lengths", parallel_lengths, int, "64,256"),
        "cores": cores,
        "layer": tuple(layer) if layer else None,
        "seed": seed,
    }
    constants = LessonConstants.of(int(number), {name: value for name, value in given.items() if value is not None})
    from seqscale.cli.progress import live
    from seqscale.lessons import base, text
    from seqscale.lessons.catalogue import LESSONS  # numpy: not before it is needed

    chosen = LESSONS[int(number)]
    question = chosen.question(constants)
    columns = text.columns_of(shutil.get_terminal_size().columns)
    prediction = None if predict is None else question.read(predict)
    if not json:
        print(text.heading(chosen, constants, columns), flush=True)
        if predict is None and not yes and sys.stdin.isatty() and sys.stdout.isatty():
            prediction = _asked(question, columns)
    with live() as (watch, _):
        finding = chosen.learn(constants, watch)
    if json:
        print_json(base.record(chosen, constants, prediction, finding))
    else:
        print(text.render(finding, prediction, columns))


def _asked(question: AbstractQuestion, columns: int) -> Prediction:
    """Ask on the terminal; Ctrl-D leaves with status 0, Ctrl-C as everywhere."""
    from seqscale.lessons.ask import Left, ask
    from seqscale.lessons.text import filled

    print()
    try:
        return ask(question, input, lambda line: print(filled(line, columns)))
    except Left:
        print("\nLeft without an answer: nothing was measured.")
        raise typer.Exit from None


def _list(option: str, text: str | None, kind: Callable[[str], T], example: str) -> tuple[T, ...] | None:
    """Read numbers with commas; None stays None."""
    if text is None:
        return None
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{option} {text!r}: give numbers with commas, such as {option} {example}.") from None
