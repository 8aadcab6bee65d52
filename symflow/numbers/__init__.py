"""Numbers as they come in and go out: exact rationals, fixed point, decimal text."""
