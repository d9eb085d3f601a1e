"""Where fake tensors are wrong about an operator: what it allocates is put right here, so that bytes are exact.

oneDNN's LSTM, `mkldnn_rnn_layer`, returns a workspace that its backward reads, the largest tensor that it saves; the
fake operator says that it is empty. Its backward gives the two biases a gradient each; the fake one gives one tensor
twice. The law of the workspace is read off one version of oneDNN, so it is compared with two tiny real runs before it
is first used; where it fails, the sizes are unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch._ops import OpOverload
from torch.utils._python_dispatch import _disable_current_modes

_PAGE = 4096
_FLOAT = 4
_LSTM = torch.ops.aten.mkldnn_rnn_layer.default
_LSTM_BACKWARD = torch.ops.aten.mkldnn_rnn_layer_backward.default


def corrected(operator: OpOverload, arguments: Sequence[Any], result: Any) -> Any:
    """Return the fake result of an operator, with what the fake operator did not know put right."""
    if operator is _LSTM and torch.is_grad_enabled():
        steps, batch, width = arguments[0].shape
        size = lstm_workspace_bytes(steps, batch, width, hidden=arguments[10])
        return (*result[:3], torch.empty(size, dtype=torch.uint8, device=arguments[0].device))
    if operator is _LSTM_BACKWARD:
        return (*result[:4], torch.empty_like(result[4]), *result[5:])
    return result


def knows(operator: OpOverload, arguments: Sequence[Any]) -> bool:
    """Whether the sizes of the operator's results are known: not for an LSTM that is not float32."""
    if operator is not _LSTM or not torch.is_grad_enabled():
        return True
    return arguments[0].dtype is torch.float32 and _workspace_law_holds()


@cache
def _workspace_law_holds() -> bool:
    """Compare the law of the workspace with two tiny real runs."""
    return all(
        _real_workspace_bytes(*sizes) == lstm_workspace_bytes(*sizes) for sizes in ((3, 2, 5, 4), (2, 1, 40, 70))
    )


def _real_workspace_bytes(steps: int, batch: int, width: int, hidden: int) -> int:
    """Run oneDNN's LSTM once, outside of whatever watches or fakes tensors, and return the size of its workspace."""
    with _disable_current_modes(), torch.enable_grad():
        x, state = torch.zeros(steps, batch, width), torch.zeros(1, batch, hidden)
        w_x, w_h, bias = torch.zeros(4 * hidden, width), torch.zeros(4 * hidden, hidden), torch.zeros(4 * hidden)
        ran = _LSTM(
            x, w_x, w_h, bias, bias, state, state, False, [], 2, hidden, 1, True, False, False, True
        )  # mode 2: LSTM; one layer with biases, one direction, time first, training
        return int(ran[3].untyped_storage().nbytes())


def lstm_workspace_bytes(steps: int, batch: int, width: int, hidden: int) -> int:
    """Return the bytes of oneDNN's workspace for one float32 LSTM layer in one direction.

    Seven parts, each from a page of its own: the gates (t, b, 4h), the outputs (t, b, h), and for t + 1 steps of the
    layer below and of this one three parts of rows max(d, h) and two of rows h. Rows are padded to 64 bytes, and by 64
    more where they would be a multiple of 1024, except the last two. Read off the operator of torch 2.13 (oneDNN 3);
    a test compares it with the operator itself.
    """
    rows = 2 * (steps + 1) * batch
    parts = (
        steps * batch * _padded(4 * hidden),
        steps * batch * _padded(hidden),
        *3 * (rows * _padded(max(width, hidden)),),
        *2 * (rows * hidden,),
    )
    return sum(-(-part * _FLOAT // _PAGE) * _PAGE for part in parts)


def _padded(elements: int) -> int:
    aligned = -(-elements // 16) * 16
    return aligned + 16 if aligned % 256 == 0 else aligned
