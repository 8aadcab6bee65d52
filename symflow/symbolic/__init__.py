"""Formulas as short programs over arrays: nodes, programs, derivatives, networks and their losses."""
