"""Layers of a user that are hard to trace, or whose laws are easy to get wrong."""

from __future__ import annotations

import torch
from torch import nn


class Chunked(nn.Module):
    """A decaying sum, chunk by chunk: inside a chunk by one product, between chunks by a state."""

    def __init__(self, width: int, chunk: int = 64) -> None:
        super().__init__()
        self.chunk = chunk
        place = torch.arange(chunk)
        self.register_buffer("decay", torch.tril(0.5 ** (place[:, None] - place).clamp(min=0)))

    def forward(self, x):
        carried, out = torch.zeros_like(x[:, :1]), []
        for part in x.split(self.chunk, dim=1):
            n = part.shape[1]
            y = self.decay[:n, :n] @ part + carried
            carried = y[:, -1:] * 0.5
            out.append(y)
        return torch.cat(out, 1)


class ReadsItsInput(nn.Module):
    """Multiplies by a number that it must know in Python."""

    def __init__(self, width: int) -> None:
        super().__init__()

    def forward(self, x):
        return x * (2.0 if x[0, 0, 0].item() < 100 else 3.0)


class StopsWhenItLikes(nn.Module):
    """Takes more steps for larger inputs: no law over sizes can hold."""

    def __init__(self, width: int) -> None:
        super().__init__()

    def forward(self, x):
        for _ in range(int(x.abs().sum().item() * 10) % 7):
            x = x * 2
        return x


class Short(nn.Module):
    """Has positions for 100 tokens."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.zeros(100, width))

    def forward(self, x):
        return x + self.positions[: x.shape[1]].expand_as(x)


class Exotic(nn.Module):
    """Uses an operator that has no law."""

    def __init__(self, width: int) -> None:
        super().__init__()

    def forward(self, x):
        return torch.special.bessel_j0(x).sort(dim=-1).values


class Broken(nn.Module):
    """Raises whatever it is given."""

    def __init__(self, width: int) -> None:
        super().__init__()

    def forward(self, x):
        raise ValueError("it never works")
