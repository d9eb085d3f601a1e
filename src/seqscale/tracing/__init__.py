"""WITHOUT RUNNING: exact counts of any module from its operation graph."""
