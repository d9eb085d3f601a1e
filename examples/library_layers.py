"""Layers of other libraries: a class called as Name(width, **options) around each, so that they can be measured.

Install them:  pip install 'seqscale[layers]'
Measure one:   seqscale run --layer examples/library_layers.py:MinGRU
"""

import importlib

from torch import nn


def library(name):
    """Import a module of a library; the error says how to install what is absent."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ImportError(f"{name} needs {error.name}, which is absent: pip install 'seqscale[layers]'") from error


class Transformer(nn.Module):
    """torch's own encoder layer with a causal mask: attention, then two linear maps, each added and normalised."""

    def __init__(self, width, heads=4, expand=4):
        super().__init__()
        self.core = nn.TransformerEncoderLayer(width, heads, expand * width, batch_first=True)

    def forward(self, x):
        """Map x (b, t, d) to outputs (b, t, d)."""
        # torch wants the mask even where is_causal lets it use a kernel that has the mask built in
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], x.device, x.dtype)
        return self.core(x, src_mask=mask, is_causal=True)


class Mamba(nn.Module):
    """The Mamba mixer of transformers; without its CUDA kernels it is a Python loop over time."""

    def __init__(self, width, state=16):
        super().__init__()
        mamba = library("transformers.models.mamba.modeling_mamba")
        self.core = mamba.MambaMixer(mamba.MambaConfig(hidden_size=width, state_size=state, num_hidden_layers=1), 0)

    def forward(self, x):
        """Map x (b, t, d) to outputs (b, t, d)."""
        return self.core(x)


class MambaScan(nn.Module):
    """The Mamba block of mambapy, which scans over time in about 2 log2 t rounds of operations on all of it."""

    def __init__(self, width, state=16):
        super().__init__()
        mamba = library("mambapy.mamba")
        self.core = mamba.MambaBlock(mamba.MambaConfig(d_model=width, n_layers=1, d_state=state))

    def forward(self, x):
        """Map x (b, t, d) to outputs (b, t, d)."""
        return self.core(x)


class MinGRU(nn.Module):
    """The minGRU of minGRU-pytorch: gates that do not read the state, so that two cumulative sums compute it."""

    def __init__(self, width, expand=1.5):
        super().__init__()
        self.core = library("minGRU_pytorch.minGRU").minGRU(width, expansion_factor=expand)

    def forward(self, x):
        """Map x (b, t, d) to outputs (b, t, d)."""
        return self.core(x)
