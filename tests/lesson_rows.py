"""Synthetic rows of known content, for the lessons: times that follow a law, bits and answers that are given."""

from __future__ import annotations

from seqscale.lessons.bench import cell, looked_at
from seqscale.lessons.decoding import bits_cell
from seqscale.lessons.recalling import recall_cell
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


def recalled(constants, layer, pairs, early, keyless=0.25):
    """Return a row of trained recall whose replicates have these early accuracies."""
    seen = {"early_accuracy": replicates("early_accuracy", early)}
    curve = profile("keyless", "accuracy", "pairs", {pairs: [keyless]}, exact=True)
    return Row(recall_cell(layer, constants, pairs), OK, seen, document=written([curve], {"test": 512}))
