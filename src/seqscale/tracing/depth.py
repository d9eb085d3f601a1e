"""How many steps must follow one another inside one operator, however many processors share it.

    product        1 + ceil(log2 k): one multiplication, then a tree of k terms (a bias adds 1)
    pointwise      1; moving data 1
    reduction      ceil(log2 n): a tree over the n elements that become one
    prefix scan    2 ceil(log2 n)
    softmax        2 ceil(log2 n) + 3: largest, subtract, exp, sum, divide
    solve          3 n - 2 for n unknowns: divide, and multiply and subtract for the next one, as substitution does

Products, reductions and scans: Blelloch 1990, "Prefix sums and their applications", section 1. A fused operator has the
chain of the steps that its definition needs; a recurrence fused into one kernel still takes its steps one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from torch._ops import OpOverload

from seqscale.tracing.work import REDUCTIONS, base_name, first_tensor

Law = Callable[[Sequence[Any], Any], int]  # (positional arguments, result) -> steps


def depth_of(operator: OpOverload, arguments: Sequence[Any], result: Any) -> int:
    """Return the ideal depth of one call of an operator whose work is known; 1 for pointwise and moving ones."""
    name = base_name(operator)
    if name in _LAWS:
        return _LAWS[name](arguments, result)
    if name in REDUCTIONS:
        return tree(_gathered(arguments, result))
    return 1


def tree(n: int) -> int:
    """Return ceil(log2 n), the depth of a tree over n leaves; 0 for n <= 1."""
    return max(0, n - 1).bit_length()


def _gathered(arguments: Sequence[Any], result: Any) -> int:
    """Return how many elements of the input become one of the output."""
    return int(arguments[0].numel() // max(1, first_tensor(result).numel()))


def _along(arguments: Sequence[Any]) -> int:
    """Return the length of the dimension that the second argument names."""
    x = arguments[0]
    return int(x.shape[arguments[1]]) if x.dim() else 1


def _scan(arguments: Sequence[Any], result: Any) -> int:
    return 2 * tree(_along(arguments))


def _softmax(arguments: Sequence[Any], result: Any) -> int:
    return 2 * tree(_along(arguments)) + 3


def _log_softmax(arguments: Sequence[Any], result: Any) -> int:
    return 2 * tree(_along(arguments)) + 4


def _softmax_backward(arguments: Sequence[Any], result: Any) -> int:
    """g * y, its sum, subtract, multiply."""
    return tree(int(arguments[0].shape[arguments[2]])) + 3


def _layer_norm(arguments: Sequence[Any], result: Any) -> int:
    """Mean (a tree and a division), subtract, square, mean, add eps, root, multiply, scale, shift."""
    return 2 * tree(prod(arguments[1])) + 9


def _layer_norm_backward(arguments: Sequence[Any], result: Any) -> int:
    """Two sums over a row and four steps around them, or the sum over rows for the scale and shift."""
    row = prod(arguments[2])
    return max(tree(row) + 6, tree(arguments[0].numel() // max(1, row)) + 2)


def _rms_norm(arguments: Sequence[Any], result: Any) -> int:
    """Square, mean, add eps, root, multiply, scale."""
    return tree(prod(arguments[1])) + 6


def _mm(arguments: Sequence[Any], result: Any) -> int:
    return 1 + tree(arguments[0].shape[-1])


def _addmm(arguments: Sequence[Any], result: Any) -> int:
    return 2 + tree(arguments[1].shape[-1])


def _solve_triangular(arguments: Sequence[Any], result: Any) -> int:
    return max(0, 3 * int(arguments[0].shape[-1]) - 2)


def _convolution(arguments: Sequence[Any], result: Any) -> int:
    weight, bias, transposed = arguments[1], arguments[2], arguments[6]
    terms = weight.numel() // max(1, weight.shape[1] if transposed else weight.shape[0])
    return 1 + tree(terms) + (bias is not None)


def _convolution_backward(arguments: Sequence[Any], result: Any) -> int:
    gradient, weight = arguments[0], arguments[2]
    into_input, into_weight, into_bias = arguments[-1]
    per_channel = gradient.numel() // max(1, gradient.shape[1])
    depths = (
        (1 + tree(weight.numel() // max(1, weight.shape[1]))) * into_input,
        (1 + tree(per_channel)) * into_weight,
        tree(per_channel) * into_bias,
    )
    return max(depths)


def _attention(arguments: Sequence[Any], result: Any) -> int:
    """q.k, scale, softmax over the keys, times v."""
    q, k = arguments[:2]
    return (1 + tree(q.shape[-1])) + 1 + (2 * tree(k.shape[-2]) + 3) + (1 + tree(k.shape[-2]))


def _attention_backward(arguments: Sequence[Any], result: Any) -> int:
    """q.k again, scale, two steps of the softmax, subtract and multiply, scale, and a product over t or s."""
    _, q, k = arguments[:3]
    return (1 + tree(q.shape[-1])) + 3 + 3 + 1 + tree(max(q.shape[-2], k.shape[-2]))


def _lstm(arguments: Sequence[Any], result: Any) -> int:
    """Per step: product, sum, gate, two products and sum of the cell, tanh, output; before them x W with its biases."""
    x, hidden = arguments[0], arguments[10]
    product = 1 + tree(hidden)
    return int(x.shape[0] * (product + 6) + max(0, 3 + tree(x.shape[2]) - product))


def _lstm_backward(arguments: Sequence[Any], result: Any) -> int:
    """Per step: sum, three products of gates and cell, their sum, the gate's slope, and the product with W_h.

    The last of these products is to the first state; beside it the weights' gradients are one product over all tokens.
    """
    x, hidden = arguments[0], arguments[5].shape[-1]
    product = 1 + tree(4 * hidden)
    last = 1 + tree(x.shape[0] * x.shape[1])
    return int(x.shape[0] * (product + 6) + max(0, last - product))


def _linear(time: int, around: int, after: int = 0) -> Law:
    """So many steps of one number for each of the third dimension of an argument, and after the last."""
    return lambda arguments, result: int(arguments[time].shape[2] * around + after)


def _recurrence(time: int, units: int, gates: int, around: int, after: int = 0) -> Law:
    """Per step one product with `gates` h terms and `around` steps of one number; `after` the last step, some more.

    Args:
        time: which argument has the tokens as its third dimension.
        units: which has h as its last.
        gates: 1 forwards.
        around: steps.
        after: steps.
    """

    def law(arguments: Sequence[Any], result: Any) -> int:
        terms = gates * arguments[units].shape[-1]
        return int(arguments[time].shape[2] * (1 + tree(terms) + around) + after)

    return law


def _selective(arguments: Sequence[Any], result: Any) -> int:
    """The first decay (2), two steps a token, and what is read of the last state."""
    return int(2 * arguments[0].shape[2] + 3 + tree(arguments[2].shape[-1]))


def _selective_backward(arguments: Sequence[Any], result: Any) -> int:
    """What the last output adds, two steps a token; then what waits for the first token's, the longest of it.

    What C gets waits for the states, which are computed again from kept ones: in one stretch as long as all else.
    """
    kept, x, a = arguments[2], arguments[3], arguments[5]
    _, batch, t, d = x.shape
    into_a = 2 + (t > 1) + tree(batch)  # what its decay met, times delta, added to the others', over sequences
    into_delta = 2 + tree(a.shape[-1]) + 1  # the same, times A, over states, beside what x adds
    into_b_or_c = tree(d) + (2 if kept.shape[2] == 1 else 0)
    return int(1 + 2 * t + max(into_a, into_delta, into_b_or_c))


def _linear_attention(k: int, other: int) -> Law:
    """Per chunk a decay of the state and a sum; before them, what a chunk adds; after, what is read, or a gradient.

    A last chunk that is shorter counts as a whole one.

    Args:
        k: which argument is (m, b, t, e).
        other: which has the greatest number of terms of a product with the state, last.
    """

    def law(arguments: Sequence[Any], result: Any) -> int:
        t, chunk = arguments[k].shape[2], next(a for a in arguments if isinstance(a, int))
        chunks, terms = -(-t // chunk), max(arguments[n].shape[-1] for n in (k, other))
        added = 3 + tree(min(chunk, t))  # the decay's powers, tokens times them, their product
        state = added + 2 * chunks - 1
        through_state = (state - 2 if chunks > 1 else 2) + 2 + tree(terms)  # a product with it, and a sum
        within = 1 + tree(terms) + 1 + 1 + tree(min(chunk, t)) + 1  # two products, decay between them; a sum
        return int(max(state, through_state, within))

    return law


def _delta(k: int, *, backwards: bool) -> Law:
    """Per chunk: a product with the state, a sum, the substitution, the share, a product over tokens, a sum.

    Args:
        k: which argument is (m, b, t, e).
        backwards: a product over tokens then comes before the chunks, from what is read into u, and one over f after
            them, into k.k.
    """

    def law(arguments: Sequence[Any], result: Any) -> int:
        (_, _, t, e), chunk = arguments[k].shape, next(a for a in arguments if isinstance(a, int))
        sizes = [chunk] * (t // chunk) + [t % chunk] * (t % chunk > 0)
        steps = sum(5 + tree(e) + 2 * (c - 1) + tree(c) for c in sizes)
        return int(steps + (2 + tree(sizes[-1]) + tree(arguments[0].shape[-1]) if backwards else 0))

    return law


_LAWS: dict[str, Law] = {
    "mm": _mm,
    "bmm": _mm,
    "mv": _mm,
    "dot": _mm,
    "vdot": _mm,
    "addmm": _addmm,
    "addmv": _addmm,
    "baddbmm": _addmm,
    "linalg_solve_triangular": _solve_triangular,
    "convolution": _convolution,
    "convolution_backward": _convolution_backward,
    "cumsum": _scan,
    "cumprod": _scan,
    "cummax": _scan,
    "cummin": _scan,
    "logcumsumexp": _scan,
    "_softmax": _softmax,
    "_log_softmax": _log_softmax,
    "_softmax_backward_data": _softmax_backward,
    "_log_softmax_backward_data": _softmax_backward,
    "native_layer_norm": _layer_norm,
    "native_layer_norm_backward": _layer_norm_backward,
    "_fused_rms_norm": _rms_norm,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "_scaled_dot_product_flash_attention_for_cpu_backward": _attention_backward,
    "_scaled_dot_product_flash_attention": _attention,
    "_scaled_dot_product_flash_attention_backward": _attention_backward,
    "_scaled_dot_product_efficient_attention": _attention,
    "_scaled_dot_product_efficient_attention_backward": _attention_backward,
    "mkldnn_rnn_layer": _lstm,
    "mkldnn_rnn_layer_backward": _lstm_backward,
    "seqscale::linear": lambda arguments, result: _mm(arguments, result) + 1,  # the bias
    "seqscale::linear_backward": _mm,
    "seqscale::outer": lambda arguments, result: 1 + tree(arguments[1].shape[1]),
    "seqscale::outer_before": lambda arguments, result: 1 + tree(prod(arguments[2].shape[1:3])),
    "seqscale::total": lambda arguments, result: tree(arguments[0].shape[1]),
    "seqscale::elman": _recurrence(0, 1, 1, 2),  # sum, tanh
    "seqscale::elman_backward": _recurrence(1, 1, 1, 2),  # sum, slope
    "seqscale::diagonal": _linear(1, 2),
    "seqscale::diagonal_backward": _linear(0, 2, after=1),  # of the first step: sum, times the state, into a's gradient
    "seqscale::diagonal_complex": _linear(2, 3),
    "seqscale::diagonal_complex_backward": _linear(0, 3, after=1),
    "seqscale::gru": _recurrence(0, 1, 1, 7),  # sum, reset gate, times the product, sum, tanh, times 1 - z, sum
    # two sums, the candidate's two factors, times the product, the reset gate's two factors; the first state's sum
    "seqscale::gru_backward": _recurrence(1, 3, 3, 7, after=1),
    "seqscale::linear_attention": _linear_attention(1, 1),
    "seqscale::linear_attention_backward": _linear_attention(3, 0),
    "seqscale::delta": _delta(1, backwards=False),
    "seqscale::delta_backward": _delta(3, backwards=True),
    "seqscale::lstm": _recurrence(0, 1, 1, 6),  # sum, gate, times, sum of the cell, tanh, output
    "seqscale::lstm_backward": _recurrence(0, 3, 4, 7),  # sum, two factors of c, sum, times, the gate's two factors
    "seqscale::selective": _selective,
    "seqscale::selective_backward": _selective_backward,
}
