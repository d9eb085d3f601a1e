"""WHO runs the cells: local workers."""
