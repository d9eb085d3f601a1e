"""Synthetic rows of known content for the lessons, and what each lesson finds in them."""

from __future__ import annotations

from seqscale.fit.exact import exact_law
from seqscale.fit.processors import Model
from seqscale.kata.constants import KataConstants
from seqscale.kata.sections import ForwardRow
from seqscale.lessons import encoding, retrieval, timing, waiting
from seqscale.lessons.bench import cell, looked_at
from seqscale.lessons.constants import LessonConstants
from seqscale.lessons.decoding import bits_cell
from seqscale.lessons.recalling import Recall, recall_cells
from seqscale.profiles import Profile, written
from seqscale.rows import Observation, Outcome, OutcomeKind, Row, Sample

OK = Outcome(kind=OutcomeKind.ok)
GONE = Outcome(kind=OutcomeKind.failed, reason="the state is not finite after 3 tokens")


def layers(constants, *names):
    return looked_at(constants, names)


def replicates(name, values):
    return Observation.of(name, [Sample(value=value, round=r) for r, value in enumerate(values)])


def timed(constants, layer, algorithm, seconds, spread=0.001):
    """Return rows of times `seconds(length)`, of 9 rounds that differ by `spread` either way."""
    rows = []
    for length in constants.kata.lengths:
        values = [seconds(length) * (1 + spread * (r % 3 - 1)) for r in range(9)]
        rows.append(Row(cell("time", layer, constants, length, algorithm), OK, {"time": replicates("time", values)}))
    return rows


def profile(name, quantity, by, points, exact=False):
    xs = sorted(points)
    return Profile(
        name=name, quantity=quantity, by=by, x=tuple(xs), values=tuple(tuple(points[x]) for x in xs), exact=exact
    )


def decoded(constants, layer, length, *, first, by_distance, shuffled=0.0):
    """Return a row of token-bits: `first(t)` bits of the first token after t, `by_distance(d)` at the end."""
    count, tokens = constants.replicates, sorted({1, 2, length})
    jitter = [0.001 * (r % 3 - 1) for r in range(count)]

    def spread(points):  # each x in another order, so that paired differences have a spread too
        return {x: [v + jitter[(r + i) % count] for r in range(count)] for i, (x, v) in enumerate(points.items())}

    curves = [
        profile("first token", "first_token_bits", "tokens", spread({t: first(t) for t in tokens})),
        profile("found", "token_bits", "tokens", spread(dict.fromkeys(tokens, 2.0))),
        profile("bound", "bound_bits", "tokens", {t: [1000.0] * count for t in tokens}, exact=True),
        profile("bits", "token_bits", "distance", spread({d: by_distance(d) for d in range(length)})),
    ]
    controls = {
        "shuffled_bits": replicates("shuffled_bits", [shuffled + j for j in jitter]),
        "leaked_bits": replicates("leaked_bits", jitter),
    }
    return Row(bits_cell(layer, constants, length), OK, controls, document=written(curves, {"test": [600] * count}))


def recalled(constants, layer, early, keyless=0.25):
    """Return what rows of trained recall give, whose replicates have these accuracies at each length; None: failed."""
    rows = []
    for one, values in zip(recall_cells(layer, constants), early, strict=True):
        readings = {"early_accuracy": values, "accuracy": values, "keyless_accuracy": [keyless] * len(values or ())}
        seen = {name: replicates(name, known) for name, known in readings.items() if values}
        document = written([], {"test": 512})
        rows.append(Row(one, OK, seen, document=document) if values else Row(one, GONE))
    return Recall.of(layer, constants, rows)


OWN = LessonConstants()
ELMAN, ATTENTION = layers(OWN, "elman", "attention")
LAST = OWN.kata.retrieval_length


def timing_of(power, loop=5.0, spread=0.001):
    rows = {
        "library": timed(OWN, ELMAN, "library", lambda n: 1e-6 * n**power, spread),
        "reference": timed(OWN, ELMAN, "reference", lambda n: loop * 1e-6 * n**power, spread),
    }
    kata = [ForwardRow(length=n, seconds=2e-6 * n, fused_seconds=None, final_hidden=(0.0,)) for n in OWN.kata.lengths]
    return timing.conclude("elman", kata, rows, 9)


def encoding_of(end, **more):
    length = OWN.kata.encoded[-1]
    row = decoded(OWN, ELMAN, length, first=lambda t: 3.0 if t <= 2 else end, by_distance=lambda d: 1.0, **more)
    other = decoded(OWN, ATTENTION, length, first=lambda t: 3.0, by_distance=lambda d: 3.0)
    return encoding.conclude(OWN, [ELMAN, ATTENTION], [row, other])


def retrieval_of(newest, oldest, early=((1.0, 1.0, 1.0), (0.3, 0.31, 0.29))):
    span = LAST - 1
    row = decoded(OWN, ELMAN, LAST, first=lambda t: 1.0, by_distance=lambda d: newest + (oldest - newest) * d / span)
    return retrieval.conclude(OWN, [ELMAN], [row], [recalled(OWN, ELMAN, early)])


def law(of):
    found = exact_law([({"T": t}, of(t)) for t in (2, 3, 4, 5, 7, 8, 9, 12, 16, 17, 33, 64, 65, 521)])
    assert found is not None
    return found


def waiting_of(span, work, cores=1024):
    models = [
        Model(label="elman", work=law(lambda t: 100 * t), span=law(lambda t: span * t)),
        Model(label="attention", work=law(lambda t: work * t * t), span=law(lambda t: 7)),
    ]
    return waiting.conclude(KataConstants(cores=cores), models)


def finding(number):
    """Return what a lesson finds in synthetic rows, at its own constants."""
    return {
        1: lambda: timing_of(1.0),
        2: lambda: encoding_of(0.0),
        3: lambda: retrieval_of(3.0, 0.0),
        4: lambda: waiting_of(10, 30),
    }[number]()
