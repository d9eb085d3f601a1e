"""Layers are abstract or final: nobody inherits a concrete one."""

from catalogue import Implementation, every_implementation

from seqscale.layers.base import AbstractLayer


@every_implementation
def test_no_concrete_layer_has_a_subclass(implementation: Implementation) -> None:
    layer = type(implementation.build())
    assert layer.__bases__ == (AbstractLayer,)
    assert layer.__subclasses__() == []
    assert layer.__final__
