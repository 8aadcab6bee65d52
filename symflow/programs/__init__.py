"""Formulas as short programs over arrays: nodes, programs, and the one differentiator."""
