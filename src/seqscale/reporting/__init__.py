"""HOW IT IS SHOWN: HTML, terminal, figures, tables."""
