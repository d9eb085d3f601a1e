"""HOW it is measured: one file per probe; `catalogue` names them without importing torch."""
