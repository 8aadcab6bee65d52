"""The results R1, R2, ... and closed forms C1, C2, ...: one file each, found by `registry` under id and slug.

A file holds the functions that evaluate the result and its record (`result`): claims, hypotheses, source, derivations.
Claims about networks of every depth are trees (`terms`), which `statement` and `lowering` turn into programs for one
network, with the letters of `model`; others are formulas over numbers, made by calling the functions that evaluate them
on SymPy symbols (`functions`). So what is printed is what is evaluated. `hypothesis_checks` holds the checks that
results share, `applicable` asks them of a problem, `curvature` the bounds R9, R12, R13 as programs.
"""
