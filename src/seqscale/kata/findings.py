"""What a section's numbers show, in one computed line, and which claim answers its question.

Every word that depends on the outcome is chosen from the numbers: other constants give other lines.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqscale.kata.network import Spectrum
from seqscale.kata.sections import (
    FLOAT32_BYTES,
    BottleneckRow,
    DimsRow,
    ForwardRow,
    MemoryRow,
    ParallelRow,
    RetrievalRow,
    step_products,
)
from seqscale.units import format_bytes, format_seconds

FLAT = 0.10  # how far from 1 an exponent of time may lie and still be called proportional; as `time.linear-forward`

DECIMALS = 12  # similarities that differ by less are equal: it is rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number behind a line, with its unit; None where it cannot be formed."""

    name: str
    value: float | None
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One section's computed line.

    Attributes:
        section: the section's key in the JSON record.
        text: the line, numbers and direction taken from the rows.
        numbers: the numbers that the line is built from.
        claims: ids of the claims that answer the section's question.
        answer: where the proper answer is, for a person.
    """

    section: str
    text: str
    numbers: tuple[Number, ...]
    claims: tuple[str, ...]
    answer: str


def of_forward(rows: Sequence[ForwardRow]) -> Finding:
    """Say how time grows between the shortest and the longest length."""
    first, last = rows[0], rows[-1]
    claims = ("time.linear-forward", "time.linear-training")
    answer = "Answered by time.linear-forward and time.linear-training: repeated, interleaved, with intervals."
    kernel, numbers = _of_kernel(last)
    if len(rows) == 1:
        text = f"{first.length:,} tokens took {format_seconds(first.seconds)}: with one length no growth can be read."
        return Finding(section="forward", text=text + kernel, numbers=numbers, claims=claims, answer=answer)
    longer, slower = last.length / first.length, last.seconds / first.seconds
    power = math.log(slower) / math.log(longer)
    if power > 1 + FLAT:
        reading = "more than proportional to length, a step became dearer"
    elif power < 1 - FLAT:
        reading = "less than proportional to length, a step became cheaper"
    else:
        reading = "proportional to length, a step costs the same in a long sequence as in a short one"
    text = f"{longer:.4g} times the tokens took {slower:.4g} times as long (T^{power:.2f} between the ends): {reading}."
    grown = (Number(name="exponent", value=power, unit="1"), Number(name="time ratio", value=slower, unit="1"))
    return Finding(section="forward", text=text + kernel, numbers=(*grown, *numbers), claims=claims, answer=answer)


def _of_kernel(row: ForwardRow) -> tuple[str, tuple[Number, ...]]:
    """Say what of a step's time is the recurrence's own: what it takes in one compiled kernel."""
    step = row.fused_seconds_per_step
    if step is None:
        return "", ()
    factor = row.seconds_per_step / step
    text = f" One compiled kernel takes {format_seconds(step)} a step, for the same states: "
    text += (
        f"of the {format_seconds(row.seconds_per_step)} above, all but one part in {factor:.3g} is the interpreter's."
        if factor > 1
        else "no less than the loop above."
    )
    return text, (Number(name="time of a step, loop over kernel", value=factor, unit="1"),)


def of_bottleneck(rows: Sequence[BottleneckRow], token_count: int, distinct: int) -> Finding:
    """Say whether similarity to the first token rises or falls, and where the newest token ranks."""
    first, last = rows[0], rows[-1]
    change = last.first_similarity - first.first_similarity
    ups = sum(_sign(b.first_similarity - a.first_similarity) > 0 for a, b in itertools.pairwise(rows))
    if len(rows) == 1:
        direction = f"The similarity to the first token is {first.first_similarity:+.4f} after {first.encoded:,} tokens"
    else:
        direction = (
            f"From {first.encoded:,} to {last.encoded:,} tokens the similarity to the first one "
            f"{_moves(change)}, from {first.first_similarity:+.4f} to {last.first_similarity:+.4f} "
            f"({ups} of {len(rows) - 1} changes upward)"
        )
    text = (
        f"{direction}. The {token_count:,} tokens are {distinct:,} different ones; at the end the newest ranks "
        f"{last.last_rank:,} of {last.distinct:,}, and the best match is below zero in "
        f"{sum(row.best_similarity < 0 for row in rows)} of {len(rows)} rows."
    )
    return Finding(
        section="bottleneck",
        text=text,
        numbers=(
            Number(name="similarity change", value=change, unit="cosine"),
            Number(name="different tokens", value=distinct, unit="tokens"),
            Number(name="tokens", value=token_count, unit="tokens"),
            Number(name="last token's rank at the end", value=last.last_rank, unit="rank"),
        ),
        claims=(
            "information.first-token-fades",
            "information.recent-dominates",
            "information.state-is-bounded",
            "information.decays-per-hop",
        ),
        answer="A cosine never tries to read the token out of the state. Answered, in bits that a decoder finds, by "
        "information.first-token-fades, information.recent-dominates, information.state-is-bounded and "
        "information.decays-per-hop; `seqscale lesson 2` shows both.",
    )


def of_retrieval(
    rows: Sequence[RetrievalRow], printed: Sequence[RetrievalRow], spectrum: Spectrum, input_size: int
) -> Finding:
    """Say which sign similarity has with distance, over all positions and over the printed ones."""
    overall, shown = rank_correlation(rows), rank_correlation(printed)
    newest = printed[-1]
    rank = 1 + sum(row.similarity > newest.similarity for row in printed)
    values = len({round(row.similarity, DECIMALS) for row in rows})
    text = (
        f"{_sign_sentence(overall, shown)} The newest token printed (distance {newest.distance}) ranks {rank} of "
        f"{len(printed)}; {len(rows):,} positions give {values:,} different similarities. "
        f"W_h has rank {spectrum.rank} of {spectrum.size} and spectral radius {spectrum.radius:.4f}; the cosine reads "
        f"{min(input_size, spectrum.size)} of the state's {spectrum.size} numbers."
    )
    return Finding(
        section="retrieval",
        text=text,
        numbers=(
            Number(name="rank correlation of similarity with distance, all positions", value=overall, unit="1"),
            Number(name="rank correlation of similarity with distance, printed positions", value=shown, unit="1"),
            Number(name="rank of W_h", value=spectrum.rank, unit="1"),
            Number(name="spectral radius of W_h", value=spectrum.radius, unit="1"),
        ),
        claims=(
            "retrieval.recurrence-cannot",
            "retrieval.early-degrades",
            "retrieval.attention-regardless-of-distance",
            "retrieval.attention-regardless-of-length",
        ),
        answer="Nothing here asks the state for a token, and nothing is trained to. Answered, by values asked for by "
        "their keys, by retrieval.recurrence-cannot, retrieval.early-degrades, "
        "retrieval.attention-regardless-of-distance and retrieval.attention-regardless-of-length; `seqscale lesson 3` "
        "shows both.",
    )


def of_parallel(rows: Sequence[ParallelRow], cores: int, hidden: int, input_size: int) -> Finding:
    """Say where attention loses in the step-counting model, and which way the factor goes."""
    first, last = rows[0], rows[-1]
    losing = [row.length for row in rows if row.factor < 1]
    if len(rows) == 1:
        trend = f"At {first.length:,} tokens the recurrence takes {first.factor:.3g} times attention's steps"
    else:
        trend = (
            f"From {first.length:,} to {last.length:,} tokens the factor {_moves(last.factor - first.factor)}, from "
            f"{first.factor:.3g} to {last.factor:.3g}"
        )
    listed = f"at {len(losing)} of the {len(rows)} lengths" if losing else f"at none of the {len(rows)} lengths"
    text = (
        f"{trend}. In this model attention loses from {cores:,} tokens on (as many as there are cores): "
        f"{listed}. Nothing is timed, and the recurrence's {step_products(hidden, input_size):,} products a step "
        "count as one."
    )
    return Finding(
        section="parallel",
        text=text,
        numbers=(
            Number(name="attention loses from", value=cores, unit="tokens"),
            Number(name="factor at the shortest length", value=first.factor, unit="1"),
            Number(name="factor at the longest length", value=last.factor, unit="1"),
        ),
        claims=(
            "parallel.span-grows",
            "parallel.attention-span-flat",
            "parallel.recurrence-cannot",
            "parallel.idle-hardware",
            "parallel.crossover-on-p-processors",
        ),
        answer="Answered by parallel.span-grows and parallel.attention-span-flat (spans counted), "
        "parallel.recurrence-cannot (every algorithm), parallel.idle-hardware (measured) and "
        "parallel.crossover-on-p-processors (where they cross on 1,024 processors).",
    )


def of_memory(rows: Sequence[MemoryRow], layers: int, batch: int) -> Finding:
    """Say how the bytes grow, and what keeping attention's weights would take beside them."""
    first, last = rows[0], rows[-1]
    longer = last.length / first.length
    grown = next(row.layer_bytes for row in rows if row.length == last.length) / first.layer_bytes
    square = last.length * last.length * FLOAT32_BYTES
    if last.length > first.length:
        growth = f"{longer:.4g} times the tokens take {grown:.4g} times the bytes at any one width"
    else:
        growth = f"{first.length:,} tokens take {format_bytes(first.layer_bytes)} at {first.hidden:,}"
    text = (
        f"{growth}: a product, not a measurement. At {last.length:,} tokens the T x T weights of one attention head, "
        f"if kept, take {format_bytes(square)}, {square / last.layer_bytes:.3g} times the widest state's "
        f"{format_bytes(last.layer_bytes)} ({format_bytes(last.model_bytes)} in {layers:,} layers at batch {batch:,})."
    )
    return Finding(
        section="bptt_bytes",
        text=text,
        numbers=(
            Number(name="byte ratio", value=grown, unit="1"),
            Number(name="attention weights, one head, if kept", value=square, unit="B"),
            Number(name="largest table cell", value=last.layer_bytes, unit="B"),
            Number(name="largest table cell, whole model", value=last.model_bytes, unit="B"),
        ),
        claims=("memory.bptt-linear", "memory.attention-training", "memory.decode-state"),
        answer="Answered by memory.bptt-linear, memory.attention-training and memory.decode-state.",
    )


def of_dims(rows: Sequence[DimsRow], dims: int, distinct: int, input_size: int) -> Finding:
    """Hold the quotient against the bits that the tokens carry and the state could hold; count what doubling costs."""
    last = rows[-1]
    needed, held = last.tokens * math.log2(distinct), dims * FLOAT32_BYTES * 8
    fits = "fewer than" if needed < held else "as many as" if needed == held else "more than"
    ratio = step_products(2 * dims, input_size) / step_products(dims, input_size)
    text = (
        f"The quotient alone decides nothing: {last.tokens:,} tokens of {distinct:,} kinds carry at most "
        f"{needed:,.0f} bits, {fits} the {held:,} bits in {dims:,} float32 numbers. Doubling {dims:,} multiplies the "
        f"products of a step by {ratio:.3g} (with {input_size:,} inputs)."
    )
    return Finding(
        section="dims_per_token",
        text=text,
        numbers=(
            Number(name="bits in the tokens", value=needed, unit="bit"),
            Number(name="bits in the state", value=held, unit="bit"),
            Number(name="products ratio on doubling", value=ratio, unit="1"),
        ),
        claims=(
            "width.work-quadruples",
            "width.time-quadruples",
            "width.no-parallelism",
            "width.capacity-grows",
            "information.state-is-bounded",
        ),
        answer="Doubling is answered by width.work-quadruples, width.time-quadruples, width.no-parallelism and "
        "width.capacity-grows; what a state really keeps of each token, by information.state-is-bounded.",
    )


def rank_correlation(rows: Sequence[RetrievalRow]) -> float | None:
    """Return Spearman's correlation of similarity with distance, ties at their mean rank; None if one is constant."""
    a = _ranks([round(row.similarity, DECIMALS) for row in rows])
    b = _ranks([float(row.distance) for row in rows])
    a, b = a - a.mean(), b - b.mean()
    scale = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / scale if scale > 0 else None


def _ranks(values: Sequence[float]) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[inverse])


def _sign(value: float) -> int:
    value = round(value, DECIMALS)
    return (value > 0) - (value < 0)


def _moves(change: float) -> str:
    return {1: f"rises by {change:.4g}", 0: "does not change", -1: f"falls by {-change:.4g}"}[_sign(change)]


def _sign_sentence(overall: float | None, shown: float | None) -> str:
    beside = "" if shown is None else f" ({shown:+.2f} over the printed ones)"
    if overall is None:
        return "Similarity or distance is the same at every position, so nothing relates them."
    if _sign(overall) > 0:
        reading = "tokens further back look more alike, the wrong sign for 'recent tokens weigh more'"
    elif _sign(overall) < 0:
        reading = "tokens further back look less alike, the sign that 'recent tokens weigh more' needs"
    else:
        reading = "distance says nothing of similarity"
    return f"Over all positions the rank correlation of similarity with distance is {overall:+.2f}{beside}: {reading}."
