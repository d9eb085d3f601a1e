"""tanh, sigmoid and exp of many numbers at once: within 4 ulp in float32 and 1e-14 in float64; NaN in is NaN out.

All come from exp(y) = 2^n (1 + p(r)) with y = n ln 2 + r, |r| <= ln 2 / 2, and p the first terms of exp(r) - 1.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from llvmlite import ir

from seqscale.kernels.lanes import Lanes, whole

# bits of one number -> the terms of p, such that the next one is below an eighth of the last place of r
_TERMS = {32: 7, 64: 13}
# bits of the fraction; 1.5 * 2^these added to a number and taken away again leaves it rounded to a whole one
_FRACTION, _BIAS = {32: 23, 64: 52}, {32: 127, 64: 1023}
# ln 2 in two parts, the first so short that its product with any n in use is exact
_LN2_HIGH = {32: 355 / 512, 64: float.fromhex("0x1.62e42fee00000p-1")}
# beyond these tanh is 1, exp(-y) is 0, and exp(y) infinite
_TANH_IS_ONE, _EXP_IS_ZERO, _EXP_IS_INFINITE = {32: 10.0, 64: 20.0}, {32: 104.0, 64: 746.0}, {32: 89.0, 64: 710.0}


def tanh(x: Lanes) -> Lanes:
    """Return tanh x = m / (m + 2) with m = exp(2 |x|) - 1, which has no difference of near numbers in it."""
    bits = x.kind.bits
    n, p = _exponential(x.magnitude().at_most(_TANH_IS_ONE[bits]) * 2.0)
    power = _power_of_two(x, n)
    m = power * p + (power - 1.0)
    return (m / (m + 2.0)).with_sign_of(x)


def sigmoid(x: Lanes) -> Lanes:
    """Return 1 / (1 + exp(-x)) with the exponential of -|x|, which cannot overflow."""
    z = _bounded(x.magnitude().at_most(_EXP_IS_ZERO[x.kind.bits]) * -1.0)
    s = 1.0 / (z + 1.0)
    return x.where_negative(z * s, s)


def exponential(x: Lanes) -> Lanes:
    """Return exp(x): 0 and infinity where it is too small or too large a number."""
    bits = x.kind.bits
    return _bounded(x.at_most(_EXP_IS_INFINITE[bits]).at_least(-_EXP_IS_ZERO[bits]))


def _bounded(y: Lanes) -> Lanes:
    """Return exp(y) for y between the bounds above."""
    n, p = _exponential(y)
    # in two steps, as 2^n itself may be too small or too large a number
    half = y.builder.ashr(n, whole(y.kind, 1))
    power = _power_of_two(y, half)
    return (p * power + power) * _power_of_two(y, y.builder.sub(n, half))


def _exponential(y: Lanes) -> tuple[ir.Value, Lanes]:
    """Return n, whole numbers, and exp(r) - 1."""
    bits = y.kind.bits
    shift = 1.5 * 2.0 ** _FRACTION[bits]
    shifted = y * (1 / math.log(2)) + shift
    n = y.builder.sub(shifted.bits(), whole(y.kind, int(np.array(shift, f"f{bits // 8}").view(f"i{bits // 8}"))))
    rounded = shifted - shift
    r = y - rounded * _LN2_HIGH[bits] - rounded * _ln2_low(bits)
    p = r * (1 / math.factorial(_TERMS[bits])) + 1 / math.factorial(_TERMS[bits] - 1)
    for term in range(_TERMS[bits] - 2, 1, -1):
        p = p * r + 1 / math.factorial(term)
    return n, p * r * r + r


def _ln2_low(bits: int) -> float:
    ln2 = Fraction(math.log(2)) + Fraction("2.3190468138462996e-17")  # its next digits
    return float(ln2 - Fraction(_LN2_HIGH[bits]))


def _power_of_two(like: Lanes, n: ir.Value) -> Lanes:
    bits, builder = like.kind.bits, like.builder
    biased = builder.add(n, whole(like.kind, _BIAS[bits]))
    return like.from_bits(builder.shl(biased, whole(like.kind, _FRACTION[bits])))
