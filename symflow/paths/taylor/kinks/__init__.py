"""Kinks of (leaky) ReLU flows: where pre-activations vanish, on which side or surface the flow continues.

At such a point every independent gate may continue on, off, or sliding (its pre-activation remains zero). All
combinations are tried; one is *consistent* if the field it defines moves every pre-activation to the side assumed for
it, and if sliding gates lie strictly between their two slopes. The sign of a pre-activation beyond the point is that
of its first significant Taylor coefficient. Exactly one consistent combination decides; none or several are reported
as a typed stop, never guessed. Gates that vanish on one surface (parallel samples, a width-1 layer before) count as
one; a deeper gate whose input vanishes with them follows them.
"""
