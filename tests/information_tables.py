"""Synthetic rows of the probes of information whose estimands are known: what the claims are judged with.

A truth gives, for a cell, its readings and curves by replicate, such that the claim's estimand of replicate r is
effect + noise_r.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from seqscale.layers.catalogue import LAYERS
from seqscale.probes.catalogue import INSTRUMENT
from seqscale.profiles import Profile, written
from seqscale.records import Cell, Question, Scope
from seqscale.rows import Observation, Outcome, OutcomeKind, Row, Sample, Table
from seqscale.verdicts.catalogue import CLAIMS

OK = Outcome(kind=OutcomeKind.ok)
BITS = 3.0  # of a token, V = 8
CHANCE, KEYLESS = 1 / 16, 0.25  # of 16 values; of who remembers which values came, not with which key
SCORED = 500


# A quick study trains so briefly that it never supports these.
PATIENT = ("retrieval.recurrence-cannot", "segments.no-retrieval", "truncation.caps-learning")


def ask(claim, layer="gru", extent=None, **scope):
    extent = extent or ("full" if claim in PATIENT else "quick")
    spec = INSTRUMENT if layer == "instrument" else LAYERS[layer]
    fields = {
        "lengths": (32, 4096), "width": 8, "batch": 1, "dtype": "float32", "device": "cpu", "threads": 2, "seed": 0,
        "launcher": "fork", "machine": "none", "torch": "0", "extent": extent,
    }  # fmt: skip
    algorithm = spec.fastest or spec.algorithms[0]
    return Question(claim=claim, layer=spec, algorithm=algorithm, scope=Scope(**{**fields, **scope}))


def layer_of(claim):
    """A layer that the claim is asked of."""
    subject = CLAIMS[claim].subject
    return (
        subject.name
        if subject is not None
        else next(n for n in ("gru", "attention") if CLAIMS[claim].applies(LAYERS[n]))
    )


@dataclass
class Seen:
    """What one cell showed: readings by replicate, and curves (quantity, by, {x: values})."""

    values: dict[str, Sequence[float]]
    curves: dict[str, tuple[str, str, Mapping[float, Sequence[float]]]] = field(default_factory=dict)
    exact: tuple[str, ...] = ()

    def row(self, cell: Cell) -> Row:
        profiles = [
            Profile(
                name=name, quantity=quantity, by=by, x=tuple(map(float, points)),
                values=tuple(tuple(map(float, v)) for v in points.values()), exact=name in self.exact,
            )
            for name, (quantity, by, points) in self.curves.items()
        ]  # fmt: skip
        seen = {
            name: Observation.of(name, [Sample(value=float(v), round=r) for r, v in enumerate(values)])
            for name, values in self.values.items()
        }
        return Row(cell, OK, seen, document=written(profiles, {"test": [SCORED] * replicates(cell)}))


def replicates(cell):
    return dict(cell.conditions).get("replicates", 1)


def flat(cell, *levels):
    """Each level for every replicate: one list, or one for each level."""
    found = [[level] * replicates(cell) for level in levels]
    return found[0] if len(found) == 1 else found


def token_bits(cell, first=None, found=None, **values):
    """A state of 10 bits, full from the start; `first` and `found` are by tokens, other values replace readings."""
    lengths = [1, 2, 4, 8, 16, 32, 64, 100]
    lengths = lengths[: lengths.index(cell.length) + 1] if cell.length in lengths else [*lengths, cell.length]
    total, zero = flat(cell, 10.0, 0.0)
    numbers = dict(cell.options).get("hidden", 16)
    readings = {
        "token_bits": total, "fano_bits": total, "shuffled_bits": zero, "leaked_bits": zero,
        "recent_share": flat(cell, 0.9), "bound_bits": flat(cell, 80.0), "state_numbers": flat(cell, numbers),
    }  # fmt: skip
    points = {t: (found or {}).get(t, flat(cell, min(10.0, BITS * t))) for t in lengths}
    return Seen(
        readings | values,
        {
            "bits": ("token_bits", "distance", {k: flat(cell, BITS if k < 3 else 0.0) for k in range(4)}),
            "first token": ("first_token_bits", "tokens", {t: (first or {}).get(t, flat(cell, 2.5)) for t in lengths}),
            "found": ("token_bits", "tokens", points),
            "bound": ("bound_bits", "tokens", {t: flat(cell, min(BITS * t, 80.0)) for t in lengths}),
        },
        exact=("bound",),
    )


def segments(cell, found=None, **values):
    zero, numbers = flat(cell, 0.0, 16)
    readings = {
        "identity_error": zero, "swap_error": zero, "swap_bits": zero, "token_bits": flat(cell, 10.0),
        "bound_bits": flat(cell, 80.0), "state_numbers": numbers,
    }  # fmt: skip
    lengths = (1, 2, 4, 8, 16, 32)
    return Seen(
        readings | values,
        {
            "found": (
                "token_bits",
                "tokens",
                {t: (found or {}).get(t, flat(cell, min(10.0, 3.0 * t))) for t in lengths},
            ),
            "bound": ("bound_bits", "tokens", {t: flat(cell, min(3.0 * t, 80.0)) for t in lengths}),
        },
        exact=("bound",),
    )


def recall(cell, by_pairs=None, by_distance=None, **values):
    high, chance, numbers = flat(cell, 0.97, CHANCE, 16)
    readings = {
        "accuracy": high, "early_accuracy": high, "carried_accuracy": high, "reset_accuracy": chance, "chance": chance,
        "keyless_accuracy": flat(cell, KEYLESS), "learning_rate": flat(cell, 0.003), "state_numbers": numbers,
    }  # fmt: skip
    pairs = [2**k for k in range(13)]
    rates = ("accuracy", "learning rate", dict.fromkeys((0.001, 0.003, 0.01), high))
    return Seen(
        readings | values,
        {
            "accuracy by rate": rates,
            "accuracy": ("accuracy", "pairs", {k: (by_pairs or {}).get(k, flat(cell, 0.9)) for k in pairs}),
            "accuracy by distance": (
                "accuracy", "distance", {k: (by_distance or {}).get(k, flat(cell, 0.9)) for k in range(64)}
            ),
        },
    )  # fmt: skip


def truncation(cell, **values):
    readings = {"r2": flat(cell, 0.0), "learning_rate": flat(cell, 0.003), "state_numbers": flat(cell, 32)}
    rates = ("r2", "learning rate", {rate: flat(cell, 0.0) for rate in (0.001, 0.003, 0.01)})
    return Seen(readings | values, {"r2 by rate": rates})


def gradient(cell, norms=None):
    points = {k: (norms or {}).get(k, flat(cell, 1.0)) for k in range(64)}
    readings = {"gradient_norm": points[63], "gradient_slope": flat(cell, 0.0), "state_numbers": flat(cell, 16)}
    return Seen(readings, {"gradient": ("gradient_norm", "distance", points)})


Effects = Callable[[], float]  # the next replicate's estimand


def first_token(cell, effects):
    return token_bits(cell, first={2: flat(cell, 2.9), 32: [2.9 - effects() for _ in range(replicates(cell))]})


def recent(cell, effects):
    return token_bits(cell, recent_share=[0.25 + effects() for _ in range(replicates(cell))])


def bounded(cell, effects):
    found = {64: [10.0 + effects() * 32 * BITS for _ in range(replicates(cell))]}
    return token_bits(cell, found=found)


def decays(cell, effects):
    return token_bits(cell, first={2: flat(cell, 2.5), 100: [2.5 * (1 - effects()) for _ in range(replicates(cell))]})


def capacity(cell, effects):
    if dict(cell.options)["hidden"] == 16:
        return token_bits(cell)
    return token_bits(cell, token_bits=[10.0 * 2 ** effects() for _ in range(replicates(cell))])


def funnel(cell, effects):
    return segments(cell, found={32: [10.0 + effects() * 16 * BITS for _ in range(replicates(cell))]})


def share(value):
    return min(1.0, max(0.0, value))


def cannot(cell, effects):
    if cell.layer == "attention":
        return recall(cell)
    return recall(cell, accuracy=[share(KEYLESS + effects()) for _ in range(replicates(cell))])


def early(cell, effects):
    if cell.length == 4:
        return recall(cell, early_accuracy=flat(cell, 0.9))
    return recall(cell, early_accuracy=[share(0.9 - effects()) for _ in range(replicates(cell))])


def carried(cell, effects):
    if cell.layer == "attention":
        return recall(cell)
    return recall(cell, carried_accuracy=[share(KEYLESS + effects()) for _ in range(replicates(cell))])


def caps(cell, effects):
    """The control learns; the arm of the shortest window, its state carried, has the effect, the others none."""
    given = dict(cell.conditions)
    if given["window"] > given["lag"]:
        return truncation(cell, r2=flat(cell, 0.97))
    if given["window"] == 1:
        return truncation(cell, r2=[effects() for _ in range(replicates(cell))])
    return truncation(cell)


def falling(cell, effects):
    return gradient(cell, {63: [math.exp(-62 * effects()) for _ in range(replicates(cell))]})


def old_and_new(cell, effects):
    old = [share(0.9 + effects()) for _ in range(replicates(cell))]
    return recall(cell, by_distance=dict.fromkeys(range(48, 64), old))


def longer(cell, effects):
    return recall(
        cell,
        by_pairs={k: flat(cell, 1.0) for k in (16, 32, 64, 128, 256, 512, 1024, 2048)}
        | {4096: [share(1.0 - effects()) for _ in range(replicates(cell))]},
    )


def constant(value, quantity="saved_bytes"):
    return Seen({quantity: [value]})


def truncated(cell, effects):
    part = 1000.0
    return constant(round(part * 2 ** effects()) if cell.length == 128 else part)


def segmented(cell, effects):
    if cell.mode == "decode":
        return constant(100.0, "state_bytes")
    return constant(round(1000 * 2 ** effects()) if cell.length == 128 else 900.0)


@dataclass(frozen=True)
class Truth:
    """How a claim's rows follow from its estimand; its values where the sentence is right, and where it is wrong."""

    seen: Callable[[Cell, Effects], Seen]
    right: float
    wrong: float
    noise: float
    edges: tuple[float, ...] = ()  # where the truth is just at delta


TRUTHS = {
    "information.first-token-fades": Truth(first_token, 2.0, 0.0, 0.05, (0.2,)),
    "information.recent-dominates": Truth(recent, 0.5, 0.0, 0.02, (0.10,)),
    "information.state-is-bounded": Truth(bounded, 0.0, 0.6, 0.01, (-0.05, 0.05)),
    "information.decays-per-hop": Truth(decays, 0.9, 0.0, 0.02, (0.10,)),
    "width.capacity-grows": Truth(capacity, 0.95, 0.1, 0.05, (0.5,)),
    "retrieval.early-degrades": Truth(early, 0.4, 0.0, 0.005, (0.05,)),
    "retrieval.recurrence-cannot": Truth(cannot, 0.0, 0.6, 0.005, (0.1,)),
    "segments.funnel": Truth(funnel, 0.0, 0.6, 0.01, (-0.05, 0.05)),
    "segments.no-retrieval": Truth(carried, 0.0, 0.6, 0.005, (0.1,)),
    "truncation.caps-learning": Truth(caps, 0.0, 0.9, 0.005, (0.1,)),
    "truncation.saves-memory": Truth(truncated, 3.0, 0.5, 0.0),
    "segments.saves-memory": Truth(segmented, 2.5, 0.5, 0.0),
    "gradient.vanishes-recurrent": Truth(falling, 0.3, 0.0, 0.002, (0.01,)),
    "gradient.direct-attention": Truth(falling, 0.0, 0.3, 0.002, (-0.01, 0.01)),
    "retrieval.attention-regardless-of-distance": Truth(old_and_new, 0.0, -0.3, 0.002, (-0.02, 0.02)),
    "retrieval.attention-regardless-of-length": Truth(longer, 0.0, 0.5, 0.002, (0.02,)),
}


def table(question, truth, effect, noise=None, seed=0):
    """Return every row that the claim needs, its estimand `effect` give or take normal noise of each replicate."""
    draw, spread = random.Random(seed), truth.noise if noise is None else noise

    def effects():
        return effect + draw.gauss(0, spread) if spread else effect

    def row(cell):
        if cell.probe == "calibration":
            return Seen({"calibration_error": [0.4]}).row(cell)
        return truth.seen(cell, effects).row(cell)

    return Table(row(cell) for cell in CLAIMS[question.claim].requires(question))


def judge(claim, effect, layer=None, noise=None, seed=0, **scope):
    question = ask(claim, layer or layer_of(claim), **scope)
    return CLAIMS[claim].judge(question, table(question, TRUTHS[claim], effect, noise, seed))


def changed(rows, where, change):
    """Return the table with the rows that `where` picks put through `change`."""
    return Table(change(row) if where(row.cell) else row for row in rows)


def without(name):
    """Take a reading out of a row."""
    return lambda row: replace(row, observations={k: v for k, v in row.observations.items() if k != name})


def reading(name, *values):
    """Give a row other values of a reading."""

    def change(row):
        given = values * replicates(row.cell) if len(values) == 1 else values
        seen = Observation.of(name, [Sample(value=float(v), round=r) for r, v in enumerate(given)])
        return replace(row, observations={**row.observations, name: seen})

    return change
