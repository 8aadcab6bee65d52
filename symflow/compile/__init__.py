"""Interpreters of programs: exact rationals, mpmath, JAX, power series, SymPy scalars, source text."""
