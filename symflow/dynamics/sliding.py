"""Gradient flow held on kinks: the flow on the stratum where some pre-activations vanish, as a program.

Sliding gates are cut (set to 0): c is the gradient, n_a the gradient of a held pre-activation z_a, both with the cut
gates. The flow that keeps every z_a at zero is

    theta' = -(c + sum_a p_a n_a),   K p = -<n_a, c>,   K_ab = <n_a, n_b>,

and it is gradient flow for the gate g_a that satisfies p_a = g_a b_a, b_a the coefficient that back-propagation brings
to the gate. It may slide while g_a remains between the two slopes (docs/theory/kinks.md; Filippov 1988).

Several pre-activations that vanish on the same surface (parallel samples, say) are held as one *tied* gate: n_k =
lambda_k n_a, and their gates move together between the two sides of the surface.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from symflow.caching import kept
from symflow.derivatives.derived import parameter_directions
from symflow.dynamics.vector_field import VectorField
from symflow.networks.objective import Objective
from symflow.programs.differentiate import jvp, transpose
from symflow.programs.nodes import Const, Einsum, Input, Node, add, einsum, hadamard, inner, is_zero, power, scale
from symflow.programs.program import Program, shape_of


@dataclass(frozen=True)
class TiedGate:
    """Gates that vanish on one surface: positions (gate, entry), with +1 where z has the sign of the first, else -1."""

    members: tuple[tuple[int, int], ...]
    signs: tuple[int, ...]

    @property
    def first(self) -> tuple[int, int]:
        """The member that represents the surface."""
        return self.members[0]


class _Adjoints:
    """Gradients of the loss and of single pre-activations, with every gate as it is set (sliding ones cut)."""

    def __init__(self, objective: Objective, positions: Sequence[tuple[int, int]]) -> None:
        self.objective = objective
        gates = objective.gates
        self.directions = parameter_directions(objective)
        tangents: dict[Node, Node] = dict(zip(objective.parameters, self.directions, strict=True))
        self.dot = jvp([objective.loss, *(g.z for g in gates)], tangents)
        self.activation = {g: x for x in objective.program.nodes if isinstance(x, Einsum) for g in x.args if g in gates}
        self.data: dict[Input, np.ndarray] = {}
        self.pick: dict[tuple[int, int], Input] = {}
        for gate, entry in positions:
            z = gates[gate].z
            one = Input(f"pick_{gate}_{entry}", z.axes, "data", rf"E_{{{gate},{entry}}}")
            self.data[one] = _unit(shape_of(z.axes), entry)
            self.pick[gate, entry] = one
        self.loss = transpose(self.dot[objective.loss], self.directions, Const(Fraction(1), ()))
        self.normal = {a: transpose(self.dot[gates[a[0]].z], self.directions, one) for a, one in self.pick.items()}

    def gradient(self) -> list[Node]:
        """c, one array per parameter array."""
        return [self.loss[d] for d in self.directions]

    def normals(self, a: tuple[int, int]) -> list[Node]:
        """n_a, one array per parameter array."""
        return [self.normal[a][d] for d in self.directions]

    def coefficient(self, cotangents: dict[Node, Node], a: tuple[int, int]) -> Node:
        """What the given cotangents bring to the activation behind gate a."""
        gate = self.objective.gates[a[0]]
        bar = cotangents.get(self.dot[self.activation[gate]])
        return Const(Fraction(0), ()) if bar is None or is_zero(bar) else inner(self.pick[a], bar)


@kept
def gate_program(objective: Objective) -> Program:
    """z and b of every gate, in the order of `objective.gates`: outputs z_0, b_0, z_1, b_1, ...

    b is the derivative of f in what follows the gate, an activation or the larger of two entries of a pool.
    """
    adjoints = _Adjoints(objective, ())
    outputs: dict[str, Node] = {}
    for i, gate in enumerate(objective.gates):
        brought = adjoints.loss.get(adjoints.dot[adjoints.activation[gate]])
        outputs[f"z_{i}"] = gate.z
        outputs[f"b_{i}"] = Const(Fraction(0), gate.axes) if brought is None else brought
    return Program(objective.program.inputs, outputs)


def _unit(shape: tuple[int, ...], position: int) -> np.ndarray:
    """The array of zeros with a single one at a flat position."""
    array = np.full(shape, Fraction(0), dtype=object)
    array.reshape(-1)[position] = Fraction(1)
    return array


def _product(a: Sequence[Node], b: Sequence[Node]) -> Node:
    """The inner product of two vectors given as one array per parameter array."""
    return add([(1, inner(x, y)) for x, y in zip(a, b, strict=True)])


def _solve(matrix: list[list[Node]], right: list[Node]) -> list[Node]:
    """Solves a symmetric positive definite system of scalar nodes by elimination without pivoting."""
    m = [row.copy() for row in matrix]
    r = right.copy()
    size = len(r)
    pivots: list[Node] = []
    for i in range(size):
        pivots.append(power(m[i][i], -1))
        for j in range(i + 1, size):
            factor = hadamard(m[j][i], pivots[i])
            for k in range(i + 1, size):
                m[j][k] = add([(1, m[j][k]), (-1, hadamard(factor, m[i][k]))])
            r[j] = add([(1, r[j]), (-1, hadamard(factor, r[i]))])
    solution: list[Node] = [Const(Fraction(0), ())] * size
    for i in reversed(range(size)):
        known = [(-1, hadamard(m[i][k], solution[k])) for k in range(i + 1, size)]
        solution[i] = hadamard(add([(1, r[i]), *known]), pivots[i])
    return solution


def _field(objective: Objective, adjoints: _Adjoints, outputs: Mapping[str, Node]) -> VectorField:
    """A field of the objective, whose data also hold the constants that pick single entries."""
    inputs, data = (*objective.program.inputs, *adjoints.data), {**objective.data, **adjoints.data}
    program = Program(inputs, {"f": objective.loss})
    extended = Objective(program, objective.parameters, data, objective.network, sample_loss=objective.sample_loss)
    return VectorField(Program(inputs, outputs), objective.parameters, extended)


@kept
def gram_field(objective: Objective, positions: tuple[tuple[int, int], ...]) -> VectorField:
    """Gradient flow with the Gram matrix <n_a, n_b> of some pre-activations as monitors (lower triangle, by rows)."""
    adjoints = _Adjoints(objective, positions)
    outputs = {w.name: scale(-1, c) for w, c in zip(objective.parameters, adjoints.gradient(), strict=True)}
    for i, a in enumerate(positions):
        for j, b in enumerate(positions[: i + 1]):
            outputs[f"K_{i}_{j}"] = _product(adjoints.normals(a), adjoints.normals(b))
    return _field(objective, adjoints, outputs)


@kept
def sliding_field(
    objective: Objective, ties: tuple[TiedGate, ...], followers: tuple[tuple[int, int], ...] = ()
) -> VectorField | None:
    """The flow that holds some (tied) gates on their kinks; None where a tie of several gates has another one upstream.

    The program's first outputs are the derivatives of the parameter arrays. Then come two monitors for every tie,
    p - p_off and p_on - p, whose positivity admits sliding: p_off and p_on are the values of p at which the tied gates
    would all be on one side. At last one for every follower, a deeper gate that acts only off the surface of a tie:
    the sign that its pre-activation would have there, on which p_off and p_on depend.
    """
    positions = tuple(a for tie in ties for a in tie.members)
    adjoints = _Adjoints(objective, (*positions, *followers))
    c = adjoints.gradient()
    normals = [adjoints.normals(tie.first) for tie in ties]
    gram = [[_product(a, b) for b in normals] for a in normals]
    p = _solve(gram, [scale(-1, _product(n, c)) for n in normals])
    outputs: dict[str, Node] = {}
    for position, w in enumerate(objective.parameters):
        held = [(-1, _times(q, n[position])) for q, n in zip(p, normals, strict=True)]
        outputs[w.name] = add([(-1, c[position]), *held])
    for i, tie in enumerate(ties):
        ends = _ends(adjoints, tie, list(zip(p, ties, strict=True)))
        if ends is None:
            return None
        off, on = ends
        outputs[f"above_off_{i}"] = add([(1, p[i]), (-1, off)])
        outputs[f"below_on_{i}"] = add([(1, on), (-1, p[i])])
    for i, a in enumerate(followers):
        outputs[f"follower_{i}"] = _next_to(adjoints, ties, a)
    return _field(objective, adjoints, outputs)


def _ends(adjoints: _Adjoints, tie: TiedGate, sliding: Sequence[tuple[Node, TiedGate]]) -> tuple[Node, Node] | None:
    """p_off and p_on: the values of p at which all gates of a tie would be on one side of their surface.

    None where a sliding tie of several gates is downstream of this one.
    """
    first = adjoints.normals(tie.first)
    inverse = power(_product(first, first), -1)
    sides: dict[bool, list[tuple[int, Node]]] = {True: [], False: []}
    for member, sign in zip(tie.members, tie.signs, strict=True):
        arriving = [(1, adjoints.coefficient(adjoints.loss, member))]
        for q, other in sliding:
            brought = adjoints.coefficient(adjoints.normal[other.first], member)
            if is_zero(brought):
                continue
            if len(other.members) > 1:
                return None
            arriving.append((1, hadamard(q, brought)))
        share = hadamard(_product(adjoints.normals(member), first), inverse)
        weight = hadamard(share, add(arriving))
        gate = adjoints.objective.gates[member[0]]
        for on in (True, False):
            value = gate.alpha if on == (sign > 0) else gate.alpha_bar
            sides[on].append((1, scale(value, weight)))
    return add(sides[False]), add(sides[True])


def _next_to(adjoints: _Adjoints, ties: Sequence[TiedGate], a: tuple[int, int]) -> Node:
    """The pre-activation of a follower next to the surface of its tie, up to a positive factor."""
    terms: list[tuple[int, Node]] = []
    for tie in ties:
        first = adjoints.normals(tie.first)
        for member, sign in zip(tie.members, tie.signs, strict=True):
            brought = adjoints.coefficient(adjoints.normal[a], member)
            if not is_zero(brought):  # |z| of a member is a multiple of that of the first: n_k = lambda_k n_a
                terms.append((sign, hadamard(_product(adjoints.normals(member), first), brought)))
    return add(terms) if terms else Const(Fraction(0), ())


@kept
def corner_field(objective: Objective, positions: tuple[tuple[int, int], ...]) -> VectorField:
    """The flow where some gates a are at their kink, each of them held there or not, as inputs say.

    `held_i` is 1 for a gate that slides and is cut, 0 for one with a value. Monitors: for each gate the rate <n_a,
    theta'> of its pre-activation, p_a (0 where it is not held) and the coefficient b_a that back-propagation brings to
    it; then the Gram matrix <n_a, n_b> (lower triangle, by rows).
    """
    adjoints = _Adjoints(objective, positions)
    c, normals = adjoints.gradient(), [adjoints.normals(a) for a in positions]
    held = [Input(f"held_{i}", (), "data", rf"s_{{{i}}}") for i in range(len(positions))]
    gram = [[_product(a, b) for b in normals[: i + 1]] for i, a in enumerate(normals)]
    both = [[gram[max(i, j)][min(i, j)] for j in range(len(normals))] for i in range(len(normals))]
    one = Const(Fraction(1), ())
    masked = [
        [
            hadamard(hadamard(s, t), both[i][j]) if i != j else add([(1, hadamard(s, both[i][i])), (1, one), (-1, s)])
            for j, t in enumerate(held)
        ]
        for i, s in enumerate(held)
    ]
    p = _solve(masked, [scale(-1, hadamard(s, _product(n, c))) for s, n in zip(held, normals, strict=True)])
    outputs: dict[str, Node] = {}
    for position, w in enumerate(objective.parameters):
        pulled = [(-1, _times(q, n[position])) for q, n in zip(p, normals, strict=True)]
        outputs[w.name] = add([(-1, c[position]), *pulled])
    velocity = [outputs[w.name] for w in objective.parameters]
    for i, a in enumerate(positions):
        coefficients = [adjoints.coefficient(adjoints.normal[b], a) for b in positions]
        brought = [(1, hadamard(q, b)) for q, b in zip(p, coefficients, strict=True)]
        outputs[f"rate_{i}"] = _product(normals[i], velocity)
        outputs[f"share_{i}"] = p[i]
        outputs[f"brought_{i}"] = add([(1, adjoints.coefficient(adjoints.loss, a)), *brought])
    outputs |= {f"K_{i}_{j}": k for i, row in enumerate(gram) for j, k in enumerate(row)}
    adjoints.data |= dict.fromkeys(held, np.array(Fraction(0), dtype=object))
    return _field(objective, adjoints, outputs)


@kept
def surface_field(objective: Objective, ties: tuple[TiedGate, ...]) -> VectorField:
    """Gradient flow with all ties cut, -c; monitors: for each tie its normal n_a (P entries), then p_off and p_on.

    For gates of one layer, whose p_off and p_on do not depend on each other.
    """
    adjoints = _Adjoints(objective, tuple(a for tie in ties for a in tie.members))
    outputs = {w.name: scale(-1, c) for w, c in zip(objective.parameters, adjoints.gradient(), strict=True)}
    for i, tie in enumerate(ties):
        for w, normal in zip(objective.parameters, adjoints.normals(tie.first), strict=True):
            outputs[f"n_{i}_{w.name}"] = normal
        ends = _ends(adjoints, tie, ())
        assert ends is not None  # none is sliding
        outputs[f"off_{i}"], outputs[f"on_{i}"] = ends
    return _field(objective, adjoints, outputs)


def _times(scalar: Node, array: Node) -> Node:
    """A scalar node times an array."""
    labels = tuple(range(len(array.axes)))
    return einsum((scalar, array), ((), labels), labels)
