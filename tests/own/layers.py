"""Users' own layers that misbehave, each in one way; the tests name them as `tests/own/layers.py:Name`."""

import os
import signal
import time
from pathlib import Path

import torch
from torch import nn


class Mean(nn.Module):
    """A good one: the running mean of the projected stream."""

    def __init__(self, width):
        super().__init__()
        self.project = nn.Linear(width, width)

    def forward(self, x):
        steps = torch.arange(1, x.shape[1] + 1, dtype=x.dtype, device=x.device)
        return self.project(x).cumsum(1) / steps[:, None]


class Leaks(Mean):
    def forward(self, x):
        return self.project(x).mean(1, keepdim=True).expand_as(x).contiguous()


class Raises(Mean):
    def forward(self, x):
        if x.shape[1] > 200:
            raise ValueError("no more than 200 tokens <here>")
        return super().forward(x)


class Dies(Mean):
    def forward(self, x):
        if x.shape[1] > 200:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(x)


class DiesOnce(Mean):
    """Dies the first time it sees a long sequence; `SEQSCALE_TEST_MARK` names the file that remembers."""

    def forward(self, x):
        mark = Path(os.environ["SEQSCALE_TEST_MARK"])
        if x.shape[1] > 200 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(x)


class Hangs(Mean):
    def forward(self, x):
        if x.shape[1] > 200:
            time.sleep(3600)
        return super().forward(x)


class Devours(Mean):
    def forward(self, x):
        if x.shape[1] > 200:
            return super().forward(x) + torch.ones(1 << 45).sum()
        return super().forward(x)
