"""LAWS: arrays in, fits out; knows nothing of the store."""
