"""Zeros in [0, 1] of p(s) = sum_k c_k s^k, c_k = n_k 2^-prec with big integers n_k: where a Taylor step meets a kink.

Let Z = {s in [0, 1] : |p(s)| <= noise 2^-prec}; a function that p approximates within the noise vanishes nowhere else.
Every connected component of Z is reported, as a `Root` where |p'| > (number of coefficients - 1) noise on all of it
and p changes sign across it (or it reaches an end of [0, 1]), and as `Unresolved` otherwise. That bound is how far p'
can move on [0, 1] when the coefficients move by at most the noise in total, so a `Root` remains one simple zero.
An `Unresolved` is cautious: it may also stand where |p| comes within 2 % of the noise from outside, or where half the
there were too few digits.

How it works, cheapest first:

1. |c_0| > sum_{k>=1} |c_k| + noise: no zero.
2. Bernstein coefficients b_j = sum_{i<=j} C(j,i)/C(d,i) c_i enclose p, and their differences p' and p'', on an
   interval; intervals are halved (de Casteljau) until p or p' has a definite sign. This runs in float64, with a bound
   on its rounding and on the terms left out; all weights are in [0, 1], so nothing is amplified.
3. Where p is too small for float64, it is expanded anew about the interval's left end, in big integers and to the few
   terms that matter there, and step 2 continues with the digits this has freed.
4. Where p'' has a definite sign, the extremum of p is located to full precision and its height decides: no zero, two
   zeros, or unresolved. So a near-tangency costs one Newton iteration and not hundreds of halvings.

(Farouki 2012, The Bernstein polynomial basis; Rouillier & Zimmermann 2004 for the use of exact integers on demand.)
"""

from symflow.paths.taylor.roots.isolate import (
    Root,
    Unresolved,
    components,
    excludes_zero,
    first_zero,
)

__all__ = ["Root", "Unresolved", "components", "excludes_zero", "first_zero"]
