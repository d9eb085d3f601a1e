"""Random matrices that recurrences start from; they draw from torch's generator, which `build` seeds."""

from __future__ import annotations

import torch
from torch import Tensor


def haar_orthogonal(units: int) -> Tensor:
    """Return an orthogonal matrix (h, h), uniform over all of them (Haar measure).

    Q of the QR factors of a normal matrix, with the signs of R's diagonal moved into Q: without them Q is not uniform.
    In float64, then rounded to the default dtype.

    Source: Mezzadri 2007, Notices of the AMS 54(5), arXiv:math-ph/0609050, section 5.
    """
    q, r = torch.linalg.qr(torch.randn(units, units, dtype=torch.float64))
    return (q * r.diagonal().sign()).to(torch.get_default_dtype())


def normal_columns(units: int, width: int) -> Tensor:
    """Return a matrix (h, d) of normal numbers over sqrt(h), so that a column has length 1 on average."""
    return torch.randn(units, width) / units**0.5
