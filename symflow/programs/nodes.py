"""The typed nodes that every formula is made of, and their smart constructors.

A formula is a directed acyclic graph of a few node types over arrays. Nodes are immutable and *interned*: the same
operation on the same arguments is the same object, so equality is identity, shared subexpressions are found without
searching, and a program's length is the number of distinct nodes.

Constructors (`add`, `scale`, `einsum`, `gather`, `gate`, `apply`, ...) simplify as they build: zeros vanish, rational
factors move outwards into sums, identities relabel, pure transposes are absorbed by the product that uses them.

An operation is one file in `rules`: the node, its constructor, and all that is known of it (derivative, adjoint,
evaluation in a given arithmetic, cost, source text). An elementwise function is one record in `rules/functions`. What
an operation does not say is refused by the defaults of `Node`.
"""

import symflow.programs.rules.functions
from symflow.programs.rules.add import Add, add, scale, split_scale
from symflow.programs.rules.axes import Axis, Labels, Size, Table
from symflow.programs.rules.bounds import (
    LargestEigenvalue,
    MatrixPower,
    Maximum,
    SpectralNorm,
    Stack,
    matrix_power,
    maximum,
    stack,
)
from symflow.programs.rules.einsum import Einsum, broadcast, einsum, hadamard, inner, matmul
from symflow.programs.rules.elementwise import FUNCTIONS, Map, apply, power
from symflow.programs.rules.gate import Gate, gate
from symflow.programs.rules.gather import Gather, ScatterAdd, gather, scatter_add
from symflow.programs.rules.leaves import Const, Identity, Input, Role, is_zero, zero
from symflow.programs.rules.log_sum_exp import LogSumExp, softmax
from symflow.programs.rules.node import Node
