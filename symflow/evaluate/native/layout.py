"""What the kernel is given: one array of words, numbers and addresses, by their names."""

from __future__ import annotations

DIGIT = 28
"""Bits of a digit and, nearly, of a modulus: 240 products of two fit into a word."""
TERMS = 240
"""Products that are added up before what is above 32 bits is folded."""
PACK = 16
"""Residues in a vector of words, two in each."""
BLOCK = 8
"""Coefficients that are summed together."""

ENVIRONMENT = (
    # Numbers.
    "limbs",  # of a coefficient
    "top",  # bits of the highest limb that may be used
    "moduli",
    "columns",  # coefficients in the place of a series
    "rows",  # series
    "order",
    "wide",  # limbs of a sum of products, without the bits after the point
    "whole",  # and with them
    "skipped_digits",
    "skipped_bits",  # together the bits after the point
    "chunks",  # digits of a coefficient
    "last_mask",
    "last_flip",  # of its last digit, and the bit of its sign
    "tau",
    "bits",
    # Data of an expansion.
    "series",  # the coefficients k of all series together
    "residues",  # of a series all coefficients together
    "constants",
    "constant_residues",
    "operations",
    "integrals",
    "integrals_end",
    "divisors",
    # Tables of the number of moduli.
    "powers",
    "sign",
    "delta",
    "delta16",
    "inverses",
    "reciprocals",
    "cofactors",
    "product",
    # Places to work in.
    "prepared",
    "sums",
    "digits",
    "number",
    "shifted",
    "bad",  # two words: a number was too large, the sign of one was not known
    # Numbers of a program that is repeated.
    "values",
    "balls",  # whether they have radii
    "radii",  # in units of the last place
    "sizes",  # at least the true numbers
    "scales",  # of the words of a number
    "units",  # the same in units of the last place
    "state",  # how many of the values are recorded
    "history",
    "history_radii",
)
FIELD = {name: i for i, name in enumerate(ENVIRONMENT)}

PRODUCT, SUM, INTEGRAL, WEIGHTED = range(4)
"""Kinds of operations.

    PRODUCT   out_k = (sum_{i=0}^{k} a_i b_{k-i} + c x_k) >> bits
    INTEGRAL  out_k = n (sum_{i=1}^{k} a_i b_{k-i} >> bits) // (d k), out_0 is given
    SUM       out_k = sum n x_k // d, n words
    WEIGHTED  out_k = sum c x_k // d

and a constant is added to out_0.
"""
HEAD = (
    "kind",
    "length",
    "out",
    "residues",
    "slope",
    "constant",
    "divisor",
    "factor",
    "row",
    "deferred",
    "pairs",
    "scaled",
)
"""An operation's first words. `residues` and `slope` are the places of the residues of out_k and of k out_k; -1 is
"none", `row` counts operations, `deferred` says that nothing else is computed from out. Pairs and scaled series (c, x;
for SUM n, x) follow, by the places of their residues (for SUM of the series)."""
WORD = {name: i for i, name in enumerate(HEAD)}
NEXT = ("series", "residues", "slope", "field", "constant")
"""The words of one state entry: it is the integral of a series, of a constant (k = 0), or of nothing."""
MOST_SHIFT = 24
"""Limbs by which an integral may be shifted."""
