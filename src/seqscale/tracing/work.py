"""How many floating-point operations one operator does: one law per operator, none guessed.

    product        2 m n k (a bias adds m n)
    pointwise      1 per element of the output, for each add, multiply, divide, exp, tanh, sigmoid or comparison
    reduction      1 per element of the input
    moving         0: what allocates, copies, joins or rearranges computes nothing
    view           0: shares its input's storage

Fused operators have a law of their own, the sum of the steps that their definition needs. What is in none of these is
unknown: it is listed by name, and the work is then a lower bound.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload

Law = Callable[[Sequence[Any], Any], int]  # (positional arguments, result) -> floating-point operations


def words(text: str) -> frozenset[str]:
    """Return the words of a text: names of operators."""
    return frozenset(text.split())


_MOVES = words(
    """alias arange bernoulli cat clone constant_pad_nd contiguous copy copy_ detach diagonal_scatter embedding empty
    empty_like empty_permuted empty_strided expand_copy eye fill flip full full_like gather index index_copy index_put
    index_select lift_fresh linspace masked_fill masked_select new_empty new_empty_strided new_full new_ones new_zeros
    normal ones ones_like permute_copy rand rand_like randn randn_like repeat resize roll scalar_tensor scatter
    select_backward select_scatter slice_backward slice_scatter set_ stack take tril triu unfold_backward uniform where
    zero zeros zeros_like _index_put_impl _local_scalar_dense _to_copy _reshape_copy
    is_same_size"""
)

# Views that their schema does not call views: it says that they write their argument, or that they make a new tensor.
_VIEWS = words(
    """_unsafe_view as_strided_ resize_as_ squeeze_ swapaxes_ t_ transpose_ unsqueeze_ unsafe_split
    unsafe_split_with_sizes"""
)

# Steps of one element in pointwise operators that do more than one.
_STEPS = {
    "addcdiv": 3,
    "addcmul": 3,
    "gelu": 5,  # x/2 * (1 + erf(x / sqrt 2))
    "gelu_backward": 9,
    "hardtanh_backward": 3,
    "lerp": 3,
    "leaky_relu_backward": 2,
    "log_sigmoid_forward": 3,
    "log_sigmoid_backward": 4,
    "native_dropout": 2,
    "native_dropout_backward": 2,
    "sigmoid_backward": 3,  # g * (1 - y) * y
    "silu": 2,  # x * sigmoid(x)
    "silu_backward": 6,
    "softplus": 2,
    "softplus_backward": 3,
    "tanh_backward": 3,  # g * (1 - y * y)
    "threshold_backward": 1,
}

# Steps of one element of the input in operators that gather it into fewer, or into a running total.
_REDUCED = {
    1: words("all amax amin any argmax argmin cummax cummin cumprod cumsum max mean min prod sum"),
    2: words("linalg_vector_norm norm"),
    3: words("logcumsumexp logsumexp std std_mean var var_mean"),
    4: words("_log_softmax_backward_data _softmax_backward_data"),
    5: words("_log_softmax _softmax"),  # max, subtract, exp, sum, divide
    6: words("_fused_rms_norm"),
    7: words("native_layer_norm"),
    12: words("native_layer_norm_backward"),
}
REDUCTIONS = {name: steps for steps, names in _REDUCED.items() for name in names}


def work_of(operator: OpOverload, arguments: Sequence[Any], result: Any) -> int | None:
    """Return the floating-point operations of one call, or None for an operator without a law."""
    name = base_name(operator)
    if name in _MOVES or is_view(operator):
        return 0
    if name in _LAWS:
        return _LAWS[name](arguments, result)
    if name in _STEPS:
        return _STEPS[name] * first_tensor(result).numel()
    if name in REDUCTIONS:
        return REDUCTIONS[name] * arguments[0].numel()
    if torch.Tag.pointwise in operator.tags and not name.endswith("_backward"):
        return first_tensor(result).numel()
    return None


@cache
def base_name(operator: OpOverload) -> str:
    """Return the operator's name without its library, overload and the underscore of its in-place form."""
    space, _, name = operator._schema.name.partition("::")
    if space not in ("aten", "prim"):
        return f"{space}::{name}"
    return name if name in _MOVES else name.removesuffix("_")


@cache
def is_view(operator: OpOverload) -> bool:
    """Whether the result only names an argument's storage: its schema says `aliases, does not write`."""
    if operator._schema.name.removeprefix("aten::") in _VIEWS:
        return True
    returned = [r.alias_info for r in operator._schema.returns]
    return bool(returned) and all(a is not None and not a.is_write for a in returned)


def first_tensor(result: Any) -> Tensor:
    """Return the result, or the first tensor among several results."""
    return result if isinstance(result, Tensor) else next(r for r in result if isinstance(r, Tensor))


def _mm(arguments: Sequence[Any], result: Any) -> int:
    return int(2 * result.numel() * arguments[0].shape[-1])


def _addmm(arguments: Sequence[Any], result: Any) -> int:
    return int(2 * result.numel() * arguments[1].shape[-1] + result.numel())


def _dot(arguments: Sequence[Any], result: Any) -> int:
    return int(2 * arguments[0].numel())


def _solve_triangular(arguments: Sequence[Any], result: Any) -> int:
    """Per unknown: (n - 1) / 2 multiplications and subtractions on average, and a division.

    That a diagonal is all ones is said by keyword, which laws do not see: it is divided by too.
    """
    return int(result.numel() * arguments[0].shape[-1])


def _convolution(arguments: Sequence[Any], result: Any) -> int:
    weight, bias = arguments[1], arguments[2]
    transposed = arguments[6]
    pairs = arguments[0] if transposed else result
    return int(2 * pairs.numel() * prod(weight.shape[1:]) + (0 if bias is None else result.numel()))


def _convolution_backward(arguments: Sequence[Any], result: Any) -> int:
    gradient, x, weight = arguments[:3]
    transposed = arguments[7]
    pairs = (x if transposed else gradient).numel() * prod(weight.shape[1:])
    into_input, into_weight, into_bias = arguments[-1]
    return int(2 * pairs * (into_input + into_weight) + gradient.numel() * into_bias)


def _pairs(q: Tensor, k: Tensor, causal: bool) -> int:
    """Return how many (query, key) pairs attention looks at, over batch and heads."""
    t, s = q.shape[-2], k.shape[-2]
    seen = sum(min(i + 1, s) for i in range(t)) if causal and t > s else t * (t + 1) // 2 if causal else t * s
    return int(prod(q.shape[:-2]) * seen)


def _attention(causal_at: int) -> Law:
    """Per pair: q.k (2e), scale, softmax (5), times v (2e)."""

    def law(arguments: Sequence[Any], result: Any) -> int:
        q, k, v = arguments[:3]
        causal = len(arguments) > causal_at and bool(arguments[causal_at])
        return _pairs(q, k, causal) * (2 * q.shape[-1] + 2 * v.shape[-1] + 6)

    return law


def _attention_backward(causal_at: int) -> Law:
    """Per pair: q.k and the softmax again (2e + 3), four products (8e), p * (dp - delta) and its scale (3)."""

    def law(arguments: Sequence[Any], result: Any) -> int:
        gradient, q, k, v = arguments[:4]
        causal = len(arguments) > causal_at and bool(arguments[causal_at])
        return _pairs(q, k, causal) * (6 * q.shape[-1] + 4 * v.shape[-1] + 6) + 2 * int(gradient.numel())

    return law


def _lstm(arguments: Sequence[Any], result: Any) -> int:
    """Per token: both products (8h(d+h)), two biases and one sum (12h), three sigmoids and two tanh (5h), c (3h), h."""
    x, hidden = arguments[0], arguments[10]
    tokens = x.shape[0] * x.shape[1]
    return int(tokens * (8 * hidden * (x.shape[2] + hidden) + 21 * hidden))


def _lstm_backward(arguments: Sequence[Any], result: Any) -> int:
    """Per token: four products (16h(d+h)), both biases' sums (8h), and 26h for the gates and the cell.

    Those are: three sigmoids and two tanh (15), the factors that meet them (6), the gradient of c_{t-1} (1), sums where
    two gradients meet in h and in c (2), and the output's gradient and tanh(c) again (2).
    """
    x, hidden = arguments[0], arguments[5].shape[-1]
    tokens = x.shape[0] * x.shape[1]
    return int(tokens * (16 * hidden * (x.shape[2] + hidden) + 34 * hidden))


def _linear(arguments: Sequence[Any], result: Any) -> int:
    return _mm(arguments, result) + int(result.numel())


def _outer(arguments: Sequence[Any], result: Any) -> int:
    return int(2 * result.numel() * arguments[1].shape[1])


def _elman(arguments: Sequence[Any], result: Any) -> int:
    """Per token: one product (2h^2), sum and tanh (2h)."""
    return int(first_tensor(result).numel() * (2 * arguments[1].shape[-1] + 2))


def _elman_backward(arguments: Sequence[Any], result: Any) -> int:
    """Per token: one product (2h^2), and (g + carried) * (1 - y * y)."""
    return int(arguments[1].numel() * (2 * arguments[1].shape[-1] + 4))


def _gru(arguments: Sequence[Any], result: Any) -> int:
    """Per token: one product (6h^2), one bias, two sums and two sigmoids, the candidate (3h), the state (4h)."""
    return int(first_tensor(result).numel() * (6 * arguments[1].shape[-1] + 12))


def _gru_backward(arguments: Sequence[Any], result: Any) -> int:
    """Per token: one product (6h^2), and 17h; and one sum for the first state.

    Those are: sums where three gradients meet (2), the candidate's (5), the update gate's (4), the reset gate's and its
    product's (5), and what passes the gates (1).
    """
    y, h = arguments[1], arguments[3]
    return int(y.numel() * (6 * h.shape[-1] + 17) + h.numel())


def _lstm_kernel(arguments: Sequence[Any], result: Any) -> int:
    """Per token: one product (8h^2), four sums, three sigmoids and two tanh (9h), c (3h), h."""
    return int(first_tensor(result).numel() * (8 * arguments[1].shape[-1] + 13))


def _lstm_kernel_backward(arguments: Sequence[Any], result: Any) -> int:
    """Per token: one product (8h^2), the gradient of c with tanh(c) again (7h), four gates (16h), past f (h)."""
    return int(arguments[0].numel() * (8 * arguments[0].shape[-1] + 24))


def _times(steps: int, which: int) -> Law:
    """So many steps for each element of one argument."""
    return lambda arguments, result: steps * int(arguments[which].numel())


def _selective(arguments: Sequence[Any], result: Any) -> int:
    """Per channel: delta x (1); per state: delta A, its exponential, the step (3), what is read (2)."""
    return int(arguments[0].numel() * (7 * arguments[2].shape[-1] + 1))


def _selective_backward(arguments: Sequence[Any], result: Any) -> int:
    """Per channel: delta x twice, gradients of x and delta (3); per state: the step again (5), its gradients (14).

    Those are of h (2), through the decay (1), of B and C (4), what the decay met (1), of A (2), two sums for x and
    delta (4). That of A is of each sequence, and then added up.
    """
    (_, batch, _, _), a = arguments[3].shape, arguments[5]
    return int(arguments[3].numel() * (19 * a.shape[-1] + 5) + batch * a.numel())


def _in_chunks(law: Callable[[int, int, int], int], f_of: int, before: bool = False) -> Law:
    """The sum of a law over the chunks of all sequences.

    Args:
        law: (tokens of one chunk, e, f) -> operations.
        f_of: an argument whose last dimension is f; k, (m, b, t, e), comes after q, which is the first or third.
        before: whether each sequence first takes the powers of its decay.
    """

    def summed(arguments: Sequence[Any], result: Any) -> int:
        q, chunk = arguments[0 if f_of == 2 else 2], next(a for a in arguments if isinstance(a, int))
        m, b, t, e = q.shape
        f = arguments[f_of].shape[-1]
        whole = t // chunk * law(chunk, e, f) + law(t % chunk, e, f) * (t % chunk > 0)
        return int(m * b * (whole + (chunk + 1) * before))

    return summed


def _linear_attention(c: int, e: int, f: int) -> int:
    """Pairs of tokens: q.k, its decay, times v; tokens: two products with S, q and k decayed, a sum; S: decay, sum."""
    pairs = c * (c + 1) // 2
    return pairs * (2 * e + 2 * f + 1) + c * (4 * e * f + 2 * e + f) + 2 * e * f


def _linear_attention_backward(c: int, e: int, f: int) -> int:
    """Pairs: q.k and gy.v with decays, and three products; tokens: four with S, k, v and gy decayed, three sums; S."""
    pairs = c * (c + 1) // 2
    return pairs * (6 * e + 4 * f + 2) + c * (8 * e * f + 3 * e + 3 * f) + 2 * e * f


def _delta(c: int, e: int, f: int) -> int:
    """Pairs of two tokens: k.k, its share, a step of the substitution; pairs: q.k, times u; tokens: three products.

    Those are with S; beside them -v, the share of r and where two reads meet (3f), and the sign of the share. S: a sum.
    """
    pairs, apart = c * (c + 1) // 2, c * (c - 1) // 2
    return pairs * (2 * e + 2 * f) + apart * (2 * e + 2 * f + 1) + c * (6 * e * f + 3 * f + 1) + e * f


def _delta_backward(c: int, e: int, f: int) -> int:
    """Pairs: q.k, gy.u and three products; of two tokens: k.k, its share, gr.u, the substitution and two products.

    Tokens: six products with S; u again, where gradients of u meet, that of beta (2), of r and of v (6f); where those
    of q and of k meet (5e); two signs. S: where three gradients meet.
    """
    pairs, apart = c * (c + 1) // 2, c * (c - 1) // 2
    of_pairs = pairs * (6 * e + 4 * f) + apart * (6 * e + 4 * f + 1)
    return of_pairs + c * (12 * e * f + 6 * f + 5 * e + 2) + 2 * e * f


_LAWS: dict[str, Law] = {
    "mm": _mm,
    "bmm": _mm,
    "mv": _mm,
    "addmm": _addmm,
    "addmv": _addmm,
    "baddbmm": _addmm,
    "dot": _dot,
    "vdot": _dot,
    "linalg_solve_triangular": _solve_triangular,
    "convolution": _convolution,
    "convolution_backward": _convolution_backward,
    "_scaled_dot_product_flash_attention_for_cpu": _attention(4),
    "_scaled_dot_product_flash_attention_for_cpu_backward": _attention_backward(7),
    "_scaled_dot_product_flash_attention": _attention(4),
    "_scaled_dot_product_flash_attention_backward": _attention_backward(11),
    "_scaled_dot_product_efficient_attention": _attention(6),
    "_scaled_dot_product_efficient_attention_backward": _attention_backward(11),
    "mkldnn_rnn_layer": _lstm,
    "mkldnn_rnn_layer_backward": _lstm_backward,
    "seqscale::linear": _linear,
    "seqscale::linear_backward": _mm,
    "seqscale::outer": _outer,
    "seqscale::outer_before": lambda arguments, result: int(2 * result.numel() * prod(arguments[2].shape[1:3])),
    "seqscale::total": lambda arguments, result: int(arguments[0].numel()),
    "seqscale::elman": _elman,
    "seqscale::elman_backward": _elman_backward,
    "seqscale::diagonal": _times(2, 1),
    "seqscale::diagonal_backward": _times(4, 0),  # two gradients meet, that of h passes a, that of a is added up
    "seqscale::diagonal_complex": _times(8, 2),
    "seqscale::diagonal_complex_backward": _times(16, 0),  # the same in complex numbers: 2, 6 and 8
    "seqscale::gru": _gru,
    "seqscale::gru_backward": _gru_backward,
    "seqscale::linear_attention": _in_chunks(_linear_attention, f_of=2, before=True),
    "seqscale::linear_attention_backward": _in_chunks(_linear_attention_backward, f_of=0, before=True),
    "seqscale::delta": _in_chunks(_delta, f_of=2),
    "seqscale::delta_backward": _in_chunks(_delta_backward, f_of=0),
    "seqscale::lstm": _lstm_kernel,
    "seqscale::lstm_backward": _lstm_kernel_backward,
    "seqscale::selective": _selective,
    "seqscale::selective_backward": _selective_backward,
}
