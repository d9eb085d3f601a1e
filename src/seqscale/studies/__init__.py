"""WHICH claims, at which size."""
