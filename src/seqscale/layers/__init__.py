"""WHAT is studied: one file per layer; `catalogue` names them without importing torch."""
