"""The probes of what a state remembers, as data without torch; research/capacity.md has the experiments (E0 to E11)."""

from __future__ import annotations

from collections.abc import Mapping

from seqscale.errors import UsageError
from seqscale.probes.conditions import Condition
from seqscale.probes.spec import ProbeSpec
from seqscale.records import Option

# What each check of the calibration asks (E0); a claim names those that its instrument must pass.
CHECKS: Mapping[str, str] = {
    "memory-curve": "cyclic, orthogonal and decaying linear networks against the closed form of their memory",
    "fisher-memory": "total 1 for normal matrices, the harmonic number for a delay line",
    "token-bits": "a one-token code of known bits, no bound exceeded, shuffled labels and last token: 0 bits",
    "recall-additive": "linear attention with random keys against the mixture formula",
    "recall-delta": "forgetting of the delta rule against (1 - 1/d)^j",
    "recall-softmax": "softmax attention with separated keys: all right",
    "truncation": "windows with reset against max(0, 1 - L/k)",
    "segments": "segments with carried state against one pass, a swapped state against its donor",
    "lyapunov": "exponents of orthogonal and driven tanh networks",
    "baselines": "copy memory 10 ln 8/(T + 20) nat, adding 1/6, by sampling",
    "training": "a linear task whose least loss is known is trained to it",
}

NOISE = Condition(
    name="noise", default=0.01, low=0.0, high=10.0,
    meaning="noise added to the state before it is read, over the state's own standard deviation",
)  # fmt: skip
SEQUENCES = Condition(
    name="sequences", default=8000, low=100, high=1_000_000, meaning="sequences read by each replicate"
)
REPLICATES = Condition(name="replicates", default=8, low=2, high=100, meaning="draws of weights and data")
SYMBOLS = Condition(name="symbols", default=8, low=2, high=64, meaning="symbols V a token is drawn from, uniformly")
LAGS = Condition(name="lags", default=64, low=1, high=65536, meaning="lags measured, from 0 [tokens]")
STEPS = Condition(name="steps", default=400, low=1, high=1_000_000, meaning="training steps")
BATCH = Condition(name="sequences", default=64, low=1, high=65536, meaning="sequences of one training step")
RATES = Condition(
    name="rates",
    default="0.001,0.003,0.01",
    low=1e-7,
    high=10.0,
    meaning="learning rates, each trained; the best counts",
)
TRAINED = Condition(name="replicates", default=3, low=2, high=100, meaning="draws of weights and data, each trained")


def whole(conditions: Mapping[str, Option], name: str) -> int:
    """Return a condition that is a whole number."""
    value = conditions[name]
    assert isinstance(value, int)
    return value


def real(conditions: Mapping[str, Option], name: str) -> float:
    """Return a condition that is a number."""
    value = conditions[name]
    assert isinstance(value, int | float)
    return float(value)


def needs_features(conditions: Mapping[str, Option], length: int, width: int) -> None:
    """Refuse more symbols than features: a token is one feature of the stream."""
    symbols = whole(conditions, "symbols")
    if symbols > width:
        raise UsageError(f"symbols={symbols}: must be from 2 to the width, {width}, as each symbol is one feature.")


def needs_lags(conditions: Mapping[str, Option], length: int, width: int) -> None:
    """Refuse more lags than tokens."""
    lags = whole(conditions, "lags")
    if lags > length:
        raise UsageError(f"lags={lags}: must be from 1 to the length, {length}; add --condition lags={length}.")


def needs_segments(conditions: Mapping[str, Option], length: int, width: int) -> None:
    """Refuse a sequence that cannot be cut in two."""
    needs_features(conditions, length, width)
    if length < 2:
        raise UsageError(f"length {length}: must be at least 2, so that it can be cut into two segments.")


def needs_room(conditions: Mapping[str, Option], length: int, width: int) -> None:
    """Refuse pairs for which there are not enough keys, features or tokens."""
    pairs, keys, symbols = (whole(conditions, name) for name in ("pairs", "keys", "symbols"))
    form, packed = conditions["form"], conditions["packing"] == "packed"
    if pairs > keys and form == "trained":
        raise UsageError(f"pairs={pairs}: must be from 1 to the number of keys, {keys}, as no key comes twice.")
    if pairs < keys and form == "rebind":
        raise UsageError(f"pairs={pairs}: must be at least keys={keys}, each of which is written pairs / keys times.")
    name, directions = ("keys", keys) if form == "rebind" else ("pairs", pairs)
    if form != "trained" and conditions["geometry"] == "orthonormal" and directions > width:
        raise UsageError(f"{name}={directions}: must be from 1 to the width, {width}, where keys are orthonormal.")
    if form == "trained":
        least = pairs * (2 if packed else 3)  # the pairs, and a query for each
        if length < least:
            raise UsageError(f"length {length}: {pairs} pairs and their queries need at least {least} tokens.")
        if conditions["gaps"] == "power" and symbols < pairs:
            raise UsageError(f"symbols={symbols}: must be at least pairs={pairs} where no value comes twice.")
    elif length < pairs:
        raise UsageError(f"length {length}: {pairs} pairs need at least {pairs} tokens.")


def needs_window(conditions: Mapping[str, Option], length: int, width: int) -> None:
    """Refuse a stream without a whole window after those that the lag takes."""
    lag, window = whole(conditions, "lag"), whole(conditions, "window")
    least = (-(-lag // window) + 1) * window
    if length < least:
        raise UsageError(f"length {length}: must be at least {least} for lag={lag} and window={window}.")


def needs_delay(conditions: Mapping[str, Option], length: int, width: int) -> None:
    """Refuse a sequence without room for what is memorised, a delimiter and the answer."""
    memorised = whole(conditions, "memorised")
    least = 2 * memorised + 1
    if length < least:
        raise UsageError(f"length {length}: must be at least {least}, to read and repeat {memorised} symbols.")


def needs_halves(conditions: Mapping[str, Option], length: int, width: int) -> None:
    """Refuse a sequence without two halves, in each of which a number is marked."""
    if length < 2:
        raise UsageError(f"length {length}: must be at least 2, as a number is marked in each half.")


INFORMATION = (
    ProbeSpec(
        name="memory-curve",
        version=1,
        modes=("forward",),
        quantities=("memory_capacity", "state_numbers"),
        sentence="how much of an input k tokens ago a linear readout of the state recovers (E1)",
        conditions=(
            NOISE,
            Condition(name="scale", default=1.0, low=1e-6, high=1e6, meaning="standard deviation of the input"),
            LAGS,
            SEQUENCES,
            REPLICATES,
        ),
        check=needs_lags,
    ),
    ProbeSpec(
        name="fisher-memory",
        version=1,
        modes=("forward",),
        quantities=("fisher_memory", "state_numbers"),
        sentence="Fisher information about an input k tokens ago, with noise in every step (E2)",
        conditions=(
            Condition(name="scale", default=1.0, low=1e-6, high=1e6, meaning="standard deviation of the input"),
            LAGS,
            Condition(name="sequences", default=64, low=1, high=100_000, meaning="trajectories linearised"),
            REPLICATES,
        ),
        check=needs_lags,
    ),
    ProbeSpec(
        name="token-bits",
        version=2,  # 1 took a validation without mistakes for certainty
        modes=("forward",),
        quantities=(
            "token_bits", "fano_bits", "first_token_bits", "linear_capacity", "source_bits", "bound_bits",
            "shuffled_bits", "leaked_bits", "recent_share", "state_numbers",
        ),
        sentence="bits about each token that can be found in the last state, by distance (E3)",
        conditions=(NOISE, SYMBOLS, SEQUENCES, REPLICATES),
        check=needs_features,
    ),
    ProbeSpec(
        name="state-ceiling",
        version=2,
        modes=("forward",),
        quantities=("accuracy", "accuracy_ceiling", "chance", "learning_rate", "state_numbers"),
        sentence="copying all tokens out of a state of few bits, trained, against the counting bound (E4)",
        conditions=(
            SYMBOLS,
            Condition(name="bits", default=4, low=1, high=16, meaning="bits that each number of the state keeps"),
            STEPS, BATCH, RATES, TRAINED,
        ),
        check=needs_features,
    ),
    ProbeSpec(
        name="recall",
        version=2,
        modes=("forward",),
        quantities=(
            "accuracy", "early_accuracy", "carried_accuracy", "reset_accuracy", "chance", "keyless_accuracy",
            "source_bits", "learning_rate", "state_numbers",
        ),
        sentence="associative recall: values by their keys, constructed, rebound or trained (E5, E11)",
        conditions=(
            Condition(
                name="form", default="trained", choices=("constructed", "rebind", "trained"),
                meaning="keys given to the layer's own rule, the same with keys written again, or a model trained",
            ),
            Condition(name="pairs", default=8, low=1, high=65536, meaning="pairs K of key and value"),
            Condition(name="keys", default=64, low=1, high=1_000_000, meaning="keys there are"),
            Condition(name="symbols", default=16, low=2, high=4096, meaning="values V there are"),
            Condition(
                name="geometry", default="random", choices=("random", "orthonormal"),
                meaning="constructed keys: random directions, or orthonormal ones",
            ),
            Condition(name="logit", default=8.0, low=0.0, high=1e4, meaning="constructed attention: its logit"),
            Condition(name="gaps", default="uniform", choices=("uniform", "power"), meaning="gaps to the queries"),
            Condition(
                name="packing", default="packed", choices=("packed", "apart"), meaning="key and value: one token or two"
            ),
            STEPS, BATCH, RATES, TRAINED,
        ),
        check=needs_room,
    ),
    ProbeSpec(
        name="truncation",
        version=2,
        modes=("training",),
        quantities=("r2", "gradient_cosine", "gradient_ratio", "saved_bytes", "learning_rate", "state_numbers"),
        sentence="what is learned of an input L tokens ago when gradients go back k tokens (E6)",
        conditions=(
            Condition(name="lag", default=12, low=0, high=65536, meaning="lag L of the target [tokens]"),
            Condition(name="window", default=4, low=1, high=65536, meaning="window k of the gradient [tokens]"),
            Condition(
                name="boundary", default="carry", choices=("carry", "reset"), meaning="the state between two windows"
            ),
            Condition(
                name="trained", default="readout", choices=("readout", "all"), meaning="what is trained"
            ),
            Condition(name="scale", default=1.0, low=1e-6, high=1e6, meaning="standard deviation of the input"),
            STEPS, BATCH, RATES, TRAINED,
        ),
        check=needs_window,
    ),
    ProbeSpec(
        name="segments",
        version=2,  # 1 took a validation without mistakes for certainty
        modes=("forward",),
        quantities=("identity_error", "swap_error", "swap_bits", "token_bits", "bound_bits", "state_numbers"),
        sentence="a sequence cut in two: the same as one pass, nothing but the state crosses, how much does (E7)",
        conditions=(NOISE, SYMBOLS, SEQUENCES, REPLICATES),
        check=needs_segments,
    ),
    ProbeSpec(
        name="gradient-horizon",
        version=2,  # 1 averaged the exponents over one step fewer than said
        modes=("training",),
        quantities=("gradient_norm", "gradient_slope", "half_life", "lyapunov_exponent", "state_numbers"),
        sentence="how the derivative by an input falls with its distance (E8)",
        conditions=(
            Condition(name="scale", default=1.0, low=1e-6, high=1e6, meaning="standard deviation of the input"),
            Condition(name="sequences", default=32, low=1, high=100_000, meaning="sequences averaged over"),
            Condition(name="exponents", default=4, low=0, high=1024, meaning="leading Lyapunov exponents"),
            REPLICATES,
        ),
    ),
    ProbeSpec(
        name="copy-memory",
        version=2,
        modes=("training",),
        quantities=("steps_to_half", "loss", "accuracy", "learning_rate", "state_numbers"),
        sentence="repeat symbols after a delay, trained: steps to half of the loss without memory (E9)",
        conditions=(
            Condition(name="memorised", default=10, low=1, high=1000, meaning="symbols to repeat"),
            Condition(name="symbols", default=8, low=2, high=64, meaning="symbols there are"),
            STEPS, BATCH, RATES, TRAINED,
        ),
        check=needs_delay,
    ),
    ProbeSpec(
        name="adding",
        version=2,
        modes=("training",),
        quantities=("steps_to_half", "squared_error", "learning_rate", "state_numbers"),
        sentence="add the two marked numbers of a sequence, trained: steps to half of 1/6 (E9)",
        conditions=(STEPS, BATCH, RATES, TRAINED),
        check=needs_halves,
    ),
)  # fmt: skip

CALIBRATION = ProbeSpec(
    name="calibration",
    version=1,
    modes=("forward",),
    quantities=("calibration_error",),
    sentence="what an instrument reads of what is known (E0)",
    subject="instrument",
)
