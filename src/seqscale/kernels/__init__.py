"""Fast recurrences over plain arrays: pure functions, compiled for this machine; no torch inside."""
