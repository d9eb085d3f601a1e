"""A layer of your own: a class called as Name(width, **options) that maps (b, t, d) to (b, t, d), causally.

Measure it:  seqscale run --layer examples/my_layer.py:RunningMean
"""

import torch
from torch import nn


class RunningMean(nn.Module):
    """Mix each token with the mean of all tokens up to it."""

    def __init__(self, width, expand=1):
        super().__init__()
        self.up = nn.Linear(2 * width, expand * width)
        self.down = nn.Linear(expand * width, width)

    def forward(self, x):
        """Map x (b, t, d) to outputs (b, t, d)."""
        count = torch.arange(1, x.shape[1] + 1, device=x.device, dtype=x.dtype)
        mean = x.cumsum(dim=1) / count[:, None]
        return self.down(torch.tanh(self.up(torch.cat((x, mean), dim=-1))))
