"""Descent methods, one a file."""
