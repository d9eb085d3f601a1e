"""`seqscale kata`: the teaching program replayed, with every constant open."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from seqscale.errors import UsageError
from seqscale.kata.constants import KataConstants, written

OWN = KataConstants()
LIST = "comma separated, rising"


def kata(
    input_size: Annotated[int, typer.Option(help="Numbers in a token.")] = OWN.input_size,
    hidden_size: Annotated[int, typer.Option(help="Numbers in the state.")] = OWN.hidden_size,
    seed_h: Annotated[int, typer.Option(help="Seed of the recurrent matrix.")] = OWN.seed_h,
    seed_x: Annotated[int, typer.Option(help="Seed of the input matrix.")] = OWN.seed_x,
    scale_h: Annotated[float, typer.Option(help="Scale of the recurrent matrix.")] = OWN.scale_h,
    scale_x: Annotated[float, typer.Option(help="Scale of the input matrix.")] = OWN.scale_x,
    lengths: Annotated[str, typer.Option(help=f"Tokens in the timed passes ({LIST}).")] = written(OWN.lengths),
    tokens: Annotated[int, typer.Option(help="Tokens that the information sections make.")] = OWN.token_count,
    encoded: Annotated[str, typer.Option(help=f"How many of them are read ({LIST}).")] = written(OWN.encoded),
    retrieval_length: Annotated[int, typer.Option(help="Tokens read by section 3.")] = OWN.retrieval_length,
    positions: Annotated[str, typer.Option(help=f"Positions it prints ({LIST}).")] = written(OWN.positions),
    parallel_lengths: Annotated[str, typer.Option(help=f"Tokens in the step model ({LIST}).")] = written(
        OWN.parallel_lengths
    ),
    cores: Annotated[int, typer.Option(help="Cores in the step model.")] = OWN.cores,
    memory_lengths: Annotated[str, typer.Option(help=f"Rows of the memory table ({LIST}).")] = written(
        OWN.memory_lengths
    ),
    memory_hidden: Annotated[str, typer.Option(help=f"State sizes of the memory table ({LIST}).")] = written(
        OWN.memory_hidden
    ),
    layers: Annotated[int, typer.Option(help="Layers that the memory table is multiplied by.")] = OWN.layers,
    batch: Annotated[int, typer.Option(help="Sequences that the memory table is multiplied by.")] = OWN.batch,
    example_length: Annotated[int, typer.Option(help="Tokens of the worked memory example.")] = OWN.example_length,
    example_hidden: Annotated[int, typer.Option(help="State of the worked memory example.")] = OWN.example_hidden,
    dims: Annotated[int, typer.Option(help="State size that the tokens share in section 6.")] = OWN.dims,
    dims_lengths: Annotated[str, typer.Option(help=f"Tokens that share it ({LIST}).")] = written(OWN.dims_lengths),
    picture_steps: Annotated[int, typer.Option(help="Tokens in the picture of waiting.")] = OWN.picture_steps,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document at full precision.")] = False,
) -> None:
    """Replay the teaching program, and say under each table what its numbers show."""
    constants = KataConstants(
        input_size=input_size,
        hidden_size=hidden_size,
        seed_h=seed_h,
        seed_x=seed_x,
        scale_h=scale_h,
        scale_x=scale_x,
        lengths=_numbers("--lengths", lengths),
        token_count=tokens,
        encoded=_numbers("--encoded", encoded),
        retrieval_length=retrieval_length,
        positions=_numbers("--positions", positions),
        parallel_lengths=_numbers("--parallel-lengths", parallel_lengths),
        cores=cores,
        memory_lengths=_numbers("--memory-lengths", memory_lengths),
        memory_hidden=_numbers("--memory-hidden", memory_hidden),
        layers=layers,
        batch=batch,
        example_length=example_length,
        example_hidden=example_hidden,
        dims=dims,
        dims_lengths=_numbers("--dims-lengths", dims_lengths),
        picture_steps=picture_steps,
    )
    from seqscale.kata.replay import replay  # numpy: not before it is needed
    from seqscale.kata.text import render

    result = replay(constants)
    typer.echo(json.dumps(result.record(), indent=2, allow_nan=False) if as_json else render(result))


def _numbers(option: str, text: str) -> tuple[int, ...]:
    """Read `50,100,200`."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{option} {text!r}: give whole numbers with commas, such as {option} 50,100,200.") from None
