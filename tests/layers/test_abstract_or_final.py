"""Layers are abstract or final: nobody inherits a concrete one."""

import importlib

from seqscale.layers.base import AbstractLayer
from seqscale.layers.catalogue import LAYERS


def test_no_concrete_layer_has_a_subclass() -> None:
    for spec in LAYERS.values():
        module, _, name = spec.target.partition(":")
        layer = getattr(importlib.import_module(module), name)
        assert layer.__bases__ == (AbstractLayer,)
        assert layer.__subclasses__() == []
        assert layer.__final__
