"""Exact work and memory of any module from its operation graph, with nothing executed."""
