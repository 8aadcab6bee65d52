"""Paths through weight space: flow to any number of digits or in float64, and the iterates of descent."""
