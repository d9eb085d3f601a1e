"""WHERE it is kept: one SQLite file."""
