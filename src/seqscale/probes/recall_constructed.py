"""Associative recall by a layer's own rule, with keys, values and queries made by hand: nothing is trained (E5a, E5b).

A trial writes pairs of a key (a direction of d features) and one of V values (one-hot), then asks for keys; the answer
is the largest of the V numbers that are read. `constructed`: every key is written once. `rebind`: every key is written
again and again, in random order, and the value written last is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seqscale.errors import UnsupportedError
from seqscale.layers.attention import attention_step
from seqscale.layers.deltanet import delta_chunked
from seqscale.layers.linear_attention import linear_attention_chunked
from seqscale.probes.base import AbstractTrial, Tell, silent
from seqscale.probes.information import real, whole
from seqscale.probes.replicates import Curve, Replicate, ReplicatesTrial, data_of
from seqscale.probes.token_bits import doublings
from seqscale.records import Cell
from seqscale.tasks.rebinding import Rebinding
from seqscale.theory.recall import additive_recall_accuracy, independent_values_bits

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Rule = Callable[[Tensor, Tensor, Tensor, float], Tensor]

MOST_ASKED = 64  # keys that one trial is asked for, evenly spread over the pairs; more would depend on each other
NUMBERS = 2**24  # that a batch of trials holds at most, in keys and in weights of attention


def additive(keys: Tensor, values: Tensor, queries: Tensor, logit: float) -> Tensor:
    """Return what linear attention reads.

    Args:
        keys: (b, K, d), in the order in which they are written.
        values: (b, K, V).
        queries: keys that are asked for afterwards, (b, Q, d).
        logit: not used: reading is linear.

    Returns:
        (b, Q, V).
    """
    read, _ = linear_attention_chunked(*_asked(keys, values, queries), _empty(keys, values))
    return read[:, 0, keys.shape[1] :]


def delta(keys: Tensor, values: Tensor, queries: Tensor, logit: float) -> Tensor:
    """Return what the delta rule reads when it writes at full rate; arguments as `additive`."""
    q, k, v = _asked(keys, values, queries)
    writes = torch.arange(k.shape[2]) < keys.shape[1]
    beta = writes.to(k).expand(len(k), 1, -1)
    read, _ = delta_chunked(q, k, v, beta, _empty(keys, values))
    return read[:, 0, keys.shape[1] :]


def softmax(keys: Tensor, values: Tensor, queries: Tensor, logit: float) -> Tensor:
    """Return what attention reads without positions, `logit` being that of a key with itself; others as `additive`."""
    scaled = logit * math.sqrt(keys.shape[2]) * queries
    return attention_step(scaled.unsqueeze(1), keys.unsqueeze(1), values.unsqueeze(1))[:, 0]


RULES: Mapping[str, Rule] = {"linear-attention": additive, "deltanet": delta, "attention": softmax}


def constructed_trial(cell: Cell, tell: Tell = silent) -> AbstractTrial:
    """Return the trial of a cell of probe `recall` whose form is `constructed` or `rebind`.

    Raises:
        UnsupportedError: a layer that no keys can be given to, or whose rule has a decay.
    """
    if cell.layer not in RULES:
        raise UnsupportedError(f"its keys cannot be given to it: only {', '.join(RULES)} have keys of their own.")
    if dict(cell.options).get("decay", 1) != 1:
        raise UnsupportedError("the rule that is asked has no decay: leave the option out.")
    facts = {"rule": "one head, no parameters, no positions", "input": "unit keys, one-hot values", "dtype": "float64"}
    measure = _constructed if dict(cell.conditions)["form"] == "constructed" else _rebind
    return ReplicatesTrial(measure, cell, facts, tell)


def scores(rule: Rule, keys: Floats, values: Integers, asked: Integers, symbols: int, logit: float) -> Floats:
    """Return what a rule reads for each key that is asked for, (b, Q, V), in float64.

    Args:
        rule: one of RULES.
        keys: (b, K, d). values: 0..V-1, (b, K).
        asked: positions of the keys that are asked for, (Q,), or each trial's own, (b, Q).
        symbols: V.
        logit: of attention.
    """
    found = []
    positions = np.broadcast_to(asked, (len(keys), asked.shape[-1]))
    several = max(1, NUMBERS // (keys.shape[1] * (keys.shape[2] + positions.shape[1])))
    for first in range(0, len(keys), several):
        rows = slice(first, first + several)
        k = torch.as_tensor(keys[rows])
        queries = torch.as_tensor(np.take_along_axis(keys[rows], positions[rows, :, None], axis=1))
        v = torch.eye(symbols, dtype=k.dtype)[torch.as_tensor(values[rows])]
        found.append(rule(k, v, queries, logit).numpy())
    return np.concatenate(found)


def random_keys(trials: int, pairs: int, width: int, geometry: str, rng: np.random.Generator) -> Floats:
    """Return unit keys, (trials, pairs, width): random directions, or orthonormal ones (pairs at most the width)."""
    if geometry == "orthonormal":
        return np.linalg.qr(rng.standard_normal((trials, width, width)))[0][:, :pairs]
    keys = rng.standard_normal((trials, pairs, width))
    return keys / np.linalg.norm(keys, axis=2, keepdims=True)


def recalled(cell: Cell, pairs: int, rng: np.random.Generator) -> tuple[Integers, npt.NDArray[np.bool_]]:
    """Write pairs and ask; return the distances asked, rising (the newest pair has 0), and which answers are right."""
    given = dict(cell.conditions)
    symbols, trials = whole(given, "symbols"), whole(given, "sequences")
    keys = random_keys(trials, pairs, cell.width, str(given["geometry"]), rng)
    values = rng.integers(symbols, size=(trials, pairs))
    distances = np.unique(np.linspace(0, pairs - 1, min(pairs, MOST_ASKED)).astype(np.int64))
    asked = pairs - 1 - distances
    read = scores(RULES[cell.layer], keys, values, asked, symbols, real(given, "logit"))
    return distances, read.argmax(axis=2) == values[:, asked]


def rebound(cell: Cell, rewrites: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Write every key `rewrites` times, all in random order, and ask for each; return which answers are right."""
    given = dict(cell.conditions)
    symbols, trials, count = whole(given, "symbols"), whole(given, "sequences"), whole(given, "keys")
    keys = random_keys(trials, count, cell.width, str(given["geometry"]), rng)
    drawn = Rebinding(keys=count, values=symbols, writes=rewrites).draw(trials, rng)
    writes = drawn.inputs[:, : count * rewrites]
    which, values = (part.argmax(axis=2) for part in (writes[:, :, :count], writes[:, :, count : count + symbols]))
    written = np.take_along_axis(keys, which[:, :, None], axis=1)
    last = drawn.positions - drawn.distances  # where each asked key was written last
    read = scores(RULES[cell.layer], written, values, last, symbols, real(given, "logit"))
    return np.asarray(read.argmax(axis=2) == drawn.answers)


def closed_form(cell: Cell, pairs: int) -> float | None:
    """Return the accuracy that is known of the cell's rule after pairs written once; None where none is."""
    given = dict(cell.conditions)
    if given["geometry"] == "orthonormal":
        # the right value weighs e^logit in attention, all others together at most pairs - 1
        sure = cell.layer != "attention" or math.exp(min(real(given, "logit"), 700)) > pairs - 1
        return 1.0 if sure else None
    if cell.layer == "linear-attention":
        return additive_recall_accuracy(pairs, cell.width, whole(given, "symbols"))
    return None


def _constructed(cell: Cell) -> Replicate:
    rng, counts = data_of(cell), doublings(whole(dict(cell.conditions), "pairs"))
    found = [recalled(cell, pairs, rng) for pairs in counts]
    shares = [right.mean() for _, right in found]
    distances, right = found[-1]
    curves = {
        "accuracy": Curve(quantity="accuracy", by="pairs", x=counts, values=shares),
        "accuracy by distance": Curve(quantity="accuracy", by="distance", x=distances, values=right.mean(axis=0)),
    }
    known = {pairs: value for pairs in counts if (value := closed_form(cell, pairs)) is not None}
    if known:
        x, values = zip(*known.items(), strict=True)
        curves["closed form"] = Curve(quantity="accuracy", by="pairs", x=x, values=values, exact=True)
    return Replicate(values=_values(cell, shares[-1], counts[-1], counts[-1]), curves=curves)


def _rebind(cell: Cell) -> Replicate:
    given, rng = dict(cell.conditions), data_of(cell)
    keys = whole(given, "keys")
    counts = doublings(whole(given, "pairs") // keys)
    shares = [rebound(cell, rewrites, rng).mean() for rewrites in counts]
    curve = Curve(quantity="accuracy", by="rewrites", x=counts, values=shares)
    return Replicate(values=_values(cell, shares[-1], keys, keys * counts[-1]), curves={"accuracy": curve})


def _values(cell: Cell, accuracy: float, asked: int, written: int) -> dict[str, float]:
    """Return the readings: `asked` values can be asked for, of `written` writes."""
    symbols = whole(dict(cell.conditions), "symbols")
    per_write = cell.width + symbols  # a key and a value
    return {
        "accuracy": float(accuracy),
        "chance": 1 / symbols,
        "source_bits": float(independent_values_bits(asked, symbols)),
        "state_numbers": written * per_write if cell.layer == "attention" else cell.width * symbols,
    }


def _asked(keys: Tensor, values: Tensor, queries: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return queries, keys and values (b, 1, K + Q, ...) of K tokens that write, then Q that only ask."""
    nothing = queries.new_zeros(len(queries), queries.shape[1], values.shape[2])
    rows = (
        torch.cat((torch.zeros_like(keys), queries), dim=1),
        torch.cat((keys, torch.zeros_like(queries)), dim=1),
        torch.cat((values, nothing), dim=1),
    )
    q, k, v = (row.unsqueeze(1) for row in rows)
    return q, k, v


def _empty(keys: Tensor, values: Tensor) -> Tensor:
    return keys.new_zeros(len(keys), 1, values.shape[2], keys.shape[2])
