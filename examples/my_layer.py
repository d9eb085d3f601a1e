"""A layer of your own: a class called as Name(width, **options) that maps (b, t, d) to (b, t, d), causally.

Measure it:  seqscale run --layer examples/my_layer.py:RunningMean
With a state, what it remembers too:  seqscale run --layer examples/my_layer.py:LeakyMean
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


class LeakyMean(nn.Module):
    """Mix each token with a mean that forgets; its state can be carried over, and read."""

    def __init__(self, width, keep=0.9):
        super().__init__()
        self.keep = keep
        self.out = nn.Linear(2 * width, width)

    def initial_state(self, batch):
        """Return the state before the first token, in the weights' dtype and on their device: (b, d) zeros."""
        return self.out.weight.new_zeros(batch, self.out.out_features)

    def step(self, x_t, state):
        """Map one token (b, d) and the state before it to its output (b, d) and the state after it."""
        state = self.keep * state + (1 - self.keep) * x_t
        return torch.tanh(self.out(torch.cat((x_t, state), dim=-1))), state

    def forward(self, x, state=None):
        """Map x (b, t, d) and a carried state to outputs (b, t, d) and the state after the last token."""
        state = self.initial_state(x.shape[0]) if state is None else state
        outputs = []
        for x_t in x.unbind(dim=1):
            y_t, state = self.step(x_t, state)
            outputs.append(y_t)
        return torch.stack(outputs, dim=1), state
