"""Many float64 flows through kinks at once: every lane stops at its own kinks, holds gates, and retires when done.

A step is one of the method of order 8 by Dormand and Prince with frozen gates. Where a pre-activation changes its sign
on the dense output of a step, the step ends there; the gate crosses, or is held on its kink (docs/theory/kinks.md). The
lanes share compiled functions of fixed size; what a lane does next is decided in NumPy, for all lanes together.
"""
