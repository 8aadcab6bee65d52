"""Interpreters of programs: exact rationals, mpmath, balls, JAX, NumPy, power series, SymPy scalars, source text."""
