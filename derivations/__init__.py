"""Derivations: one runnable file per result, each with its statement, its checks and a negative control."""
