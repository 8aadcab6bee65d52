"""Modified equations of methods of descent, derived from their recursions by rooted trees.

    method --step--> trees of theta_{k+1} --slow_manifold--> the map that remains --logarithm--> F_0, F_1, ...
                                          --start--> where the flow begins

`trees` and `tree_series` are the arithmetic; `differentials`, `notation` and `equation` turn trees into programs and
formulas.
"""
