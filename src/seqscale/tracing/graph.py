"""Autograd's own graph: the nodes that one forward pass builds and the host must keep."""

from __future__ import annotations

from torch import Tensor


def count_nodes(y: Tensor) -> int:
    """Return how many autograd nodes stand behind y, the leaves' accumulators included; 0 without a graph."""
    if y.grad_fn is None:
        return 0
    seen = {y.grad_fn}
    todo = [y.grad_fn]
    while todo:
        for node, _ in todo.pop().next_functions:
            if node is not None and node not in seen:
                seen.add(node)
                todo.append(node)
    return len(seen)
