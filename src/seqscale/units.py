"""Every number that seqscale stores has a registered quantity: unit, range and how it is written for a person."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


def format_seconds(value: float) -> str:
    """Write seconds with three significant digits: 1.23 ms, 45.6 us."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if abs(value) >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def format_bytes(value: float) -> str:
    """Write bytes in decimal units, as the kata does: 40.96 MB."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(value) >= scale:
            return f"{value / scale:.4g} {unit}"
    return f"{value:.0f} B"


def format_flops(value: float) -> str:
    """Write floating-point operations: 595,200 flop, 6.98e+08 flop."""
    return f"{format_count(value)} flop"


def format_flop_rate(value: float) -> str:
    """Write floating-point operations per second: 85.2 GFLOP/s."""
    return f"{_scaled(value)}FLOP/s"


def format_bandwidth(value: float) -> str:
    """Write bytes per second in decimal units: 31.5 GB/s."""
    return f"{_scaled(value)}B/s"


def _scaled(value: float) -> str:
    for prefix, scale in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= scale:
            return f"{value / scale:.3g} {prefix}"
    return f"{value:.3g} "


def format_kernels(value: float) -> str:
    """Write a number of kernels."""
    return f"{format_count(value)} kernels"


def format_steps(value: float) -> str:
    """Write a number of dependent steps of single numbers."""
    return f"{format_count(value)} steps"


def format_nodes(value: float) -> str:
    """Write a number of autograd nodes."""
    return f"{format_count(value)} nodes"


def format_elements(value: float) -> str:
    """Write how many numbers one sequence carries."""
    return f"{format_count(value)} elements a sequence"


def format_count(value: float) -> str:
    """Write a count with thousands separators, large ones in powers of ten."""
    return f"{value:,.0f}" if abs(value) < 1e7 else f"{value:.3g}"


def format_bits(value: float) -> str:
    """Write bits of information: 2.96 bit, 0.004 bit."""
    return f"{value:.3g} bit" if abs(value) >= 0.01 else f"{value:.1g} bit"


def format_share(value: float) -> str:
    """Write a share of one with three digits: 0.975."""
    return f"{value:.3f}" if abs(value) >= 0.001 else f"{value:.1e}"


def format_inputs(value: float) -> str:
    """Write how many past inputs are recovered: 31.5 inputs."""
    return f"{value:.3g} inputs"


def format_rate(value: float) -> str:
    """Write a rate per step: -0.0513 a step."""
    return f"{value:.3g} a step"


def format_nats(value: float) -> str:
    """Write a loss: 0.173 nat."""
    return f"{value:.3g} nat"


def format_plain(value: float) -> str:
    """Write a number without a unit."""
    return f"{value:.3g}"


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a stored number means.

    Attributes:
        name: the word used in code, store, command line and report.
        unit: its unit, as written in JSON and on axes.
        formatter: value -> text for a person, unit included.
        low, high: the smallest and the largest value that can be.
        whole: whether only whole numbers can be.
        meaning: one line for `seqscale list` and for tables.
    """

    name: str
    unit: str
    formatter: Callable[[float], str]
    low: float
    whole: bool
    meaning: str
    high: float = math.inf

    def check(self, value: float) -> None:
        """Raise ValueError when `value` cannot be a value of this quantity."""
        inside = math.isfinite(value) and self.low <= value <= self.high
        if not inside or (self.whole and value != int(value)):
            kind = "a whole number" if self.whole else "a number"
            most = "" if math.isinf(self.high) else f" and <= {self.high:g}"
            raise ValueError(f"{self.name}={value!r}: must be {kind} >= {self.low:g}{most}, in {self.unit}")


QUANTITIES = {
    q.name: q
    for q in (
        Quantity("time", "s", format_seconds, 0.0, False, "wall time of one call"),
        Quantity("first_call_time", "s", format_seconds, 0.0, False, "wall time of the first call, kept apart"),
        Quantity("work", "flop", format_flops, 0, True, "floating-point operations, counted on the operation graph"),
        Quantity(
            "traffic_bytes", "B", format_bytes, 0, True, "what kernels read and write: each argument and result once"
        ),
        Quantity(
            "kernels", "kernels", format_kernels, 0, True, "operators that run: neither views nor bare allocations"
        ),
        Quantity(
            "kernel_span", "kernels", format_kernels, 0, True, "longest chain of kernels that must wait for each other"
        ),
        Quantity(
            "ideal_span",
            "steps",
            format_steps,
            0,
            True,
            "longest chain with each kernel at its logarithmic depth: what no number of processors can shorten",
        ),
        Quantity("flop_rate", "flop/s", format_flop_rate, 0.0, False, "floating-point operations per second"),
        Quantity("bandwidth", "B/s", format_bandwidth, 0.0, False, "bytes per second between memory and processor"),
        Quantity("dispatch_time", "s", format_seconds, 0.0, False, "cost of starting one kernel"),
        Quantity(
            "dependent_step_time", "s", format_seconds, 0.0, False, "one arithmetic step that waits for the one before"
        ),
        Quantity("barrier_time", "s", format_seconds, 0.0, False, "cost of sharing one kernel between threads"),
        Quantity(
            "saved_bytes",
            "B",
            format_bytes,
            0,
            True,
            "what autograd keeps for the backward pass, parameters and input apart",
        ),
        Quantity(
            "predicted_peak_bytes", "B", format_bytes, 0, True, "largest sum of live tensors, predicted without running"
        ),
        Quantity(
            "measured_peak_bytes",
            "B",
            format_bytes,
            0,
            True,
            "growth of the process's (or the GPU's) memory peak while running",
        ),
        Quantity(
            "node_bytes",
            "B",
            format_bytes,
            0,
            True,
            "host memory of autograd's own nodes: calibrated bytes per node times nodes",
        ),
        Quantity(
            "unexplained_bytes", "B", format_bytes, -math.inf, True, "measured peak less predicted peak less node bytes"
        ),
        Quantity("graph_nodes", "nodes", format_nodes, 0, True, "autograd nodes that one forward pass builds"),
        Quantity(
            "state_elements",
            "elements",
            format_elements,
            0,
            True,
            "numbers that must be carried to the next step, by the layer's own law",
        ),
        Quantity(
            "state_bytes",
            "B",
            format_bytes,
            0,
            True,
            "bytes that are carried to the next step, read off the state itself",
        ),
        # -- what a state remembers --
        Quantity(
            "memory_capacity",
            "inputs",
            format_inputs,
            -math.inf,
            False,
            "past inputs that a linear readout recovers: sum over lags of the held-out R^2",
        ),
        Quantity(
            "r2",
            "1",
            format_plain,
            -math.inf,
            False,
            "share of a target's variance that a readout recovers, held out: 1 - error / variance",
            1.0,
        ),
        Quantity(
            "fisher_memory",
            "1",
            format_plain,
            0.0,
            False,
            "Fisher information about a past input in the state, with unit noise in every step",
        ),
        Quantity(
            "token_bits",
            "bit",
            format_bits,
            -math.inf,
            False,
            "information about tokens that a decoder finds in the state, a lower bound, held out",
        ),
        Quantity(
            "fano_bits",
            "bit",
            format_bits,
            -math.inf,
            False,
            "the same by Fano's inequality, from the share of tokens decoded rightly",
        ),
        Quantity(
            "first_token_bits",
            "bit",
            format_bits,
            -math.inf,
            False,
            "information about the first token of the sequence that a decoder finds in the state",
        ),
        Quantity("source_bits", "bit", format_bits, 0.0, False, "information in the tokens that were read"),
        Quantity(
            "bound_bits",
            "bit",
            format_bits,
            0.0,
            False,
            "what the state can hold at most: the least of its source, its numbers and its noise",
        ),
        Quantity(
            "shuffled_bits",
            "bit",
            format_bits,
            -math.inf,
            False,
            "control: what the decoder finds when the labels are shuffled, per token; must be zero",
        ),
        Quantity(
            "leaked_bits",
            "bit",
            format_bits,
            -math.inf,
            False,
            "control: what the last token alone tells of the earlier ones, per token; must be zero",
        ),
        Quantity(
            "linear_capacity",
            "1",
            format_plain,
            -math.inf,
            False,
            "independent numbers about the tokens that a linear readout recovers; at most those of the state",
        ),
        Quantity(
            "recent_share", "1", format_share, -math.inf, False, "share of the decoded bits in the newest quarter"
        ),
        Quantity("state_numbers", "numbers", format_count, 0, True, "numbers in the state of one sequence"),
        Quantity("accuracy", "1", format_share, 0.0, False, "share of answers that are right", 1.0),
        Quantity("accuracy_ceiling", "1", format_share, 0.0, False, "the largest accuracy that a bound allows", 1.0),
        Quantity("chance", "1", format_share, 0.0, False, "accuracy of the best guess without looking", 1.0),
        Quantity(
            "keyless_accuracy", "1", format_share, 0.0, False, "accuracy without keys: knowing what values came", 1.0
        ),
        Quantity(
            "early_accuracy", "1", format_share, 0.0, False, "accuracy on the oldest quarter of what was read", 1.0
        ),
        Quantity(
            "carried_accuracy",
            "1",
            format_share,
            0.0,
            False,
            "accuracy where the key was read in an earlier segment and the state was carried over",
            1.0,
        ),
        Quantity(
            "reset_accuracy",
            "1",
            format_share,
            0.0,
            False,
            "accuracy where the key was read in an earlier segment and the state was not carried over",
            1.0,
        ),
        Quantity("identity_error", "1", format_plain, 0.0, False, "segments with carried state against one pass"),
        Quantity(
            "swap_error",
            "1",
            format_plain,
            0.0,
            False,
            "outputs after a swapped state against those of its donor",
        ),
        Quantity(
            "swap_bits",
            "bit",
            format_bits,
            -math.inf,
            False,
            "information about the own first segment after the state was swapped, per token; must be zero",
        ),
        Quantity(
            "gradient_norm", "1", format_plain, 0.0, False, "mean Frobenius norm of the derivative by a past input"
        ),
        Quantity("gradient_slope", "1/step", format_rate, -math.inf, False, "slope of the logarithm of gradient_norm"),
        Quantity(
            "half_life", "steps", format_steps, 0.0, False, "distance at which gradient_norm has fallen to a half"
        ),
        Quantity(
            "lyapunov_exponent",
            "1/step",
            format_rate,
            -math.inf,
            False,
            "rate at which the logarithm of a small difference of states grows",
        ),
        Quantity(
            "gradient_cosine",
            "1",
            format_share,
            -1.0,
            False,
            "cosine between the truncated gradient and the whole one",
            1.0,
        ),
        Quantity(
            "gradient_ratio", "1", format_plain, 0.0, False, "norm of the truncated gradient over that of the whole one"
        ),
        Quantity("loss", "nat", format_nats, 0.0, False, "cross entropy of the answers"),
        Quantity("squared_error", "1", format_plain, 0.0, False, "mean squared error of the answers"),
        Quantity(
            "steps_to_half",
            "steps",
            format_steps,
            0,
            True,
            "training steps until the loss is half of what is reached without memory",
        ),
        Quantity("learning_rate", "1", format_plain, 0.0, False, "learning rate that was best on validation"),
        Quantity(
            "calibration_error",
            "tolerances",
            format_plain,
            0.0,
            False,
            "largest distance between what an instrument reads and what is known, over what is allowed",
        ),
    )
}


def quantity(name: str) -> Quantity:
    """Return the registered quantity; KeyError for one that nobody registered."""
    return QUANTITIES[name]


def format_value(name: str, value: float) -> str:
    """Write a value of the named quantity for a person, unit included."""
    return QUANTITIES[name].formatter(value)
