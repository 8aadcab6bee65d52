"""Certified flows: the error of a Taylor solution is proved by computation (R23)."""
