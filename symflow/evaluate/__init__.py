"""Interpreters of programs: exact rationals, mpmath, JAX, NumPy, power series, SymPy scalars, source text."""
