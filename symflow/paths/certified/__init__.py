"""Paths whose error is proved by computation (R23 for flows, balls for descent)."""
