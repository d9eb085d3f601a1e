"""WHAT IS SAID: each claim names the cells it needs and judges a table of them."""
