"""Synthetic sequences whose right answers are known, with what they demand of a memory; numpy only."""
