"""Paths whose error is proved."""
