"""Recurrences of large fields, compiled array by array: what a kink changes is compiled again in milliseconds."""
