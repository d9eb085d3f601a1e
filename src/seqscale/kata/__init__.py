"""The teaching program replayed: `constants` (what may be changed), `replay` (all sections), `text` (how it prints).

This package's `__init__` imports nothing, so that the command line can read the constants without numpy.
"""
