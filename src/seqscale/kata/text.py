"""How a replay prints: plain ASCII, at most 100 columns, every table and picture drawn from the result."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterable, Sequence

from seqscale.kata.constants import KataConstants
from seqscale.kata.replay import KataResult
from seqscale.units import format_bytes, format_count, format_seconds

COLUMNS = 100
BAR = 40


def render(result: KataResult) -> str:
    """Return the whole replay as text."""
    sections = (_head, _forward, _bottleneck, _retrieval, _parallel, _memory, _dims)
    return "\n".join(line for section in sections for line in section(result))


def _head(result: KataResult) -> list[str]:
    constants = result.constants
    first = (
        f"The kata replayed in float64: {constants.input_size:,} numbers in, a state of {constants.hidden_size:,}, "
        f"seeds {constants.seed_h} (state) and {constants.seed_x} (input)."
    )
    own = KataConstants()
    changed = [
        f.name.replace("_", " ") for f in dataclasses.fields(own) if getattr(constants, f.name) != getattr(own, f.name)
    ]
    second = f"Changed from the program's own: {', '.join(changed)}." if changed else "All constants are its own."
    return [*_wrapped(first, ""), *_wrapped(second, "")]


def _forward(result: KataResult) -> list[str]:
    rows = [
        (
            f"{row.length:,}",
            format_seconds(row.seconds),
            format_seconds(row.seconds_per_step),
            "-" if row.fused_seconds_per_step is None else format_seconds(row.fused_seconds_per_step),
            f"{row.final_hidden[0]:+.6f}",
        )
        for row in result.forward
    ]
    return [
        *_title("1 Time of one pass, by length (this machine, one run each)"),
        *_table(("tokens", "time", "per step", "by one kernel", "last state, first number"), rows),
        *_closing(result, "forward"),
    ]


def _bottleneck(result: KataResult) -> list[str]:
    rows = [
        (
            f"{row.encoded:,}",
            f"{row.first_similarity:+.4f}",
            f"token {row.most_similar:,}",
            f"{row.best_similarity:+.4f}",
            f"{row.last_rank:,} of {row.distinct:,}",
        )
        for row in result.bottleneck
    ]
    return [
        *_title("2 One state for all tokens: which of them does it resemble? (cosine)"),
        *_table(("tokens read", "to the first", "best match", "to the best", "newest one's rank"), rows),
        *_closing(result, "bottleneck"),
    ]


def _retrieval(result: KataResult) -> list[str]:
    rows = [
        (f"{row.position:,}", f"{row.distance:,}", f"{row.similarity:+.4f}", _signed_bar(row.similarity))
        for row in result.printed_retrieval
    ]
    return [
        *_title(f"3 The state after {result.constants.retrieval_length:,} tokens against the token at a position"),
        *_table(("position", "steps ago", "similarity", "-1        0         1"), rows),
        *_closing(result, "retrieval"),
    ]


def _parallel(result: KataResult) -> list[str]:
    constants = result.constants
    rows = [
        (
            format_count(row.length),
            format_count(row.rnn_steps),
            format_count(row.attention_steps),
            f"{row.factor:.3g}x",
        )
        for row in result.parallel
    ]
    names = [str(i + 1) for i in range(constants.picture_steps)]
    wide = len(">".join(names))
    waiting = [
        f"  What must wait for what, for {len(names)} tokens:",
        f"    recurrence  {'>'.join(names)}  |{'=' * len(names):<{len(names)}} {counted(len(names), 'step')}",
        f"    attention   {' '.join(names):<{wide}}  |{'=':<{len(names)}} 1 step",
    ]
    bars = []
    for row in result.parallel:
        slower = max(row.rnn_steps, row.attention_steps)
        for name, steps, busy in (
            ("recurrence", row.rnn_steps, 1.0),
            ("attention", row.attention_steps, row.busy_cores),
        ):
            share = f"{100 * busy / constants.cores:.3g} % busy"
            bars.append((format_count(row.length), name, format_count(steps), _bar(steps, slower, "="), share))
    return [
        *_title(f"4 Steps on {counted(constants.cores, 'core')}, by the program's model (counted, nothing is run)"),
        *_table(("tokens", "recurrence", "attention", "factor"), rows),
        "",
        *waiting,
        "",
        *_table(("tokens", "", "steps", f"{'as a bar':<{BAR}}", "cores"), bars),
        *_closing(result, "parallel"),
    ]


def _memory(result: KataResult) -> list[str]:
    constants, example = result.constants, result.memory_example
    rows = [
        (f"{row.length:,}", f"{row.hidden:,}", format_bytes(row.layer_bytes), format_bytes(row.model_bytes))
        for row in result.memory
    ]
    model = f"{counted(constants.layers, 'layer')}, batch {constants.batch:,}"
    return [
        *_title("5 Bytes of the kept states, for training (tokens x state x 4 B)"),
        *_table(("tokens", "state", "one layer, one sequence", model), rows),
        *_wrapped(
            f"Worked out: {example.length:,} x {example.hidden:,} x 4 B = {format_bytes(example.layer_bytes)} a layer "
            f"and sequence; x {constants.layers:,} layers x {constants.batch:,} sequences = "
            f"{format_bytes(example.model_bytes)}.",
            "  ",
        ),
        *_closing(result, "bptt_bytes"),
    ]


def _dims(result: KataResult) -> list[str]:
    constants, rows = result.constants, result.dims_per_token
    most = rows[0].dims_per_token
    longest = rows[-1].tokens
    names = [f"x_{i + 1}" for i in range(min(longest, 3))] + ([f"... x_{longest}"] if longest > 3 else [])
    entry = f"  {'  '.join(names)}"
    state = f"[ h_{longest} ]"
    wide = max(len(entry), len(state) + 2)
    return [
        *_title(f"6 The document's quotient: a state of {constants.dims:,} numbers shared by all tokens"),
        f"  {entry:<{wide}}   {longest * constants.input_size:,} numbers were read",
        f"  {'|'.center(wide).rstrip()}",
        f"  {state.center(wide)}   {constants.dims:,} numbers go on, at every length",
        "",
        *_table(
            ("tokens", "numbers per token", f"{'as a bar':<{BAR}}"),
            [(f"{r.tokens:,}", f"{r.dims_per_token:.3g}", _bar(r.dims_per_token, most, "#")) for r in rows],
        ),
        *_closing(result, "dims_per_token"),
    ]


def _title(text: str) -> list[str]:
    return ["", text, "-" * len(text)]


def _closing(result: KataResult, section: str) -> list[str]:
    finding = result.finding(section)
    return [*_wrapped(f"=> {finding.text}", "  ", "     "), *_wrapped(f"-> {finding.answer}", "  ", "     ")]


def _wrapped(text: str, indent: str, after: str | None = None) -> list[str]:
    return textwrap.wrap(
        text,
        COLUMNS,
        initial_indent=indent,
        subsequent_indent=indent if after is None else after,
        break_on_hyphens=False,
    )


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Align every column to the right; a bar fills its column's width itself."""
    lines = [tuple(headers), *(tuple(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(headers))]
    return [("  " + "  ".join(f"{c:>{w}}" for c, w in zip(line, widths, strict=True))).rstrip() for line in lines]


def _bar(value: float, largest: float, mark: str) -> str:
    return f"{mark * max(1, round(BAR * value / largest)):<{BAR}}"


def _signed_bar(value: float) -> str:
    """Draw a similarity on 21 places from -1 to 1."""
    places = ["."] * 21
    places[10] = "|"
    places[10 + round(10 * value)] = "o"
    return "".join(places)


def counted(count: int, noun: str) -> str:
    """Write a count with its noun: 1 token, 1,024 tokens."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
