"""Users' own layers with states of every kind, and some that cheat or fail; named `tests/own/remembering.py:Name`."""

import torch
from torch import nn


class Stateless(nn.Linear):
    """Maps each token by itself."""

    def __init__(self, width):
        super().__init__(width, width)


class NeverStarts(Stateless):
    """Takes a step, and does not say from which state."""

    def step(self, x_t, state):
        return self(x_t), state


class Steps(nn.Module):
    """Only takes steps; its state is a dictionary with sequences in the second axis, and a counter."""

    def __init__(self, width):
        super().__init__()
        self.mix = nn.Linear(2 * width, width)

    def initial_state(self, batch):
        like = self.mix.weight
        return {"kept": like.new_zeros(1, batch, like.shape[0]), "count": 0}

    def step(self, x_t, state):
        kept = torch.tanh(self.mix(torch.cat((x_t, state["kept"][0]), dim=1)))
        return kept, {"kept": kept[None], "count": state["count"] + 1}

    def forward(self, x):
        state, y = self.initial_state(len(x)), []
        for x_t in x.unbind(1):
            y_t, state = self.step(x_t, state)
            y.append(y_t)
        return torch.stack(y, dim=1)


class Carries(nn.Module):
    """Carries one state and has no step; the subclasses say what the state becomes."""

    def __init__(self, width):
        super().__init__()
        self.width = width

    def forward(self, x, state=None):
        state, y = self.start(x) if state is None else state, []
        for x_t in x.unbind(1):
            state = self.next(x_t, state)
            y.append(self.read(state))
        return torch.stack(y, dim=1), state

    def start(self, x):
        return x.new_zeros(len(x), self.width)

    def read(self, state):
        return state


class Complex(Carries):
    """Turns each number of a complex state by an eighth, and fades it."""

    def start(self, x):
        return torch.zeros(len(x), self.width, dtype=torch.promote_types(x.dtype, torch.complex64))

    def next(self, x_t, state):
        return state * (0.9 * torch.exp(torch.tensor(0.25j * torch.pi))) + x_t

    def read(self, state):
        return state.real


class Shifted(Carries):
    """A linear step with a constant, from a state that is not zero."""

    def start(self, x):
        return x.new_full((len(x), self.width), 3.0)

    def next(self, x_t, state):
        return 0.5 * state.roll(1, 1) + x_t + 2


class Explodes(Carries):
    """Its state is finite for two tokens in float32: it is squared at every one."""

    def next(self, x_t, state):
        return 1e15 + 1e5 * x_t + state * state


class Constant(Carries):
    """Its state does not depend on what is read."""

    def next(self, x_t, state):
        return 0 * x_t + 1


class Opaque(Carries):
    """Its state is an object of its own."""

    def next(self, x_t, state):
        return state

    def start(self, x):
        return Kept(x)

    def read(self, state):
        return state.x[:, 0]


class Kept:
    def __init__(self, x):
        self.x = x


class Large(Carries):
    """Its state has 5000 numbers for each feature."""

    def start(self, x):
        return x.new_zeros(len(x), 5000, self.width)

    def next(self, x_t, state):
        return state + x_t[:, None]

    def read(self, state):
        return state[:, 0]


class Sneaks(Carries):
    """Remembers in itself what it read last, and mixes it into what it reads from a state that it is given."""

    def __init__(self, width):
        super().__init__(width)
        self.before = None

    def forward(self, x, state=None):
        secret = 0 if state is None or self.before is None or self.before.shape[0] != len(x) else self.before
        y, after = super().forward(x, state)
        self.before = x.sum(dim=1).detach()
        return y, after + secret

    def next(self, x_t, state):
        return 0.5 * state + x_t


class Last(Carries):
    """Its state is the last token."""

    def next(self, x_t, state):
        return x_t


class Line(Carries):
    """A delay line: feature 0 enters the first unit, and each unit hands its number on as it is."""

    def next(self, x_t, state):
        return torch.cat((x_t[:, :1], state[:, :-1]), dim=1)


TOLD = {}


class Tells(Carries):
    """Reads in a global what it read last, which none of its states has."""

    def next(self, x_t, state):
        before = TOLD.get(len(x_t), 0)
        TOLD[len(x_t)] = x_t.detach()
        return 0.5 * state + x_t + before
