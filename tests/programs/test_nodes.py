"""Smart constructors against a naive evaluation, transposition against the inner product, interning and pickling."""

import itertools
from collections.abc import Sequence
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symflow as sf
from symflow.evaluate.interpret import interpret
from symflow.evaluate.object_arrays import EXACT
from symflow.programs.differentiate import jvp, transpose
from symflow.programs.nodes import (
    Add,
    Axis,
    Const,
    Einsum,
    Identity,
    Input,
    Labels,
    Node,
    add,
    apply,
    einsum,
    gate,
    hadamard,
    inner,
    is_zero,
    matmul,
    power,
    scale,
    zero,
)
from symflow.programs.program import Program

EXAMPLES = settings(max_examples=60, derandomize=True)
AXES = (Axis("a", 2), Axis("b", 3), Axis("c", 1))
NUMBERS = (Fraction(0), Fraction(1), Fraction(-1), Fraction(2), Fraction(-3, 2))
Pair = tuple[Node, np.ndarray]


def array(numbers: Sequence[int], shape: tuple[int, ...]) -> np.ndarray:
    result = np.empty(shape, dtype=object)
    result.reshape(-1)[:] = [Fraction(v) for v in numbers]
    return result


def naive_einsum(arrays: Sequence[np.ndarray], labels: Sequence[Labels], out: Labels, sizes: dict[int, int]):
    """The definition: for all values of all labels, add the product of the entries to the output entry."""
    result = np.empty(tuple(sizes[i] for i in out), dtype=object)
    result[...] = Fraction(0)
    used = sorted(set(itertools.chain(*labels, out)))
    for values in itertools.product(*(range(sizes[i]) for i in used)):
        at = dict(zip(used, values, strict=True))
        term = Fraction(1)
        for a, indices in zip(arrays, labels, strict=True):
            term *= a[tuple(at[i] for i in indices)]
        result[tuple(at[i] for i in out)] += term
    return result


def evaluate(x: Node, inputs: dict[Input, np.ndarray]) -> np.ndarray:
    return interpret(Program(tuple(inputs), {"x": x}), inputs, EXACT)["x"]


def draw_axes(draw: st.DrawFn) -> tuple[Axis, ...]:
    return tuple(draw(st.lists(st.sampled_from(AXES), max_size=3)))


def draw_input(draw: st.DrawFn, name: str, role: str = "data") -> Pair:
    axes = draw_axes(draw)
    shape = tuple(int(a.size) for a in axes)
    size = int(np.prod(shape, dtype=int))
    return Input(name, axes, role, name), array(draw(st.lists(st.integers(-3, 3), min_size=size, max_size=size)), shape)


def draw_leaf(draw: st.DrawFn) -> Pair:
    """A constant (often 0 or 1) or an identity."""
    if draw(st.booleans()):
        axis = draw(st.sampled_from(AXES))
        return Identity((axis, axis)), array(np.eye(int(axis.size), dtype=int).flat, (int(axis.size),) * 2)
    axes = draw_axes(draw)
    value = draw(st.sampled_from(NUMBERS))
    result = array([0] * int(np.prod([a.size for a in axes], dtype=int)), tuple(int(a.size) for a in axes))
    result[...] = value
    return Const(value, axes), result


def draw_product(draw: st.DrawFn, chosen: Sequence[Pair]) -> Pair:
    """A random einsum of the chosen nodes, with diagonals and possibly a broadcast label."""
    pool = {axis: [2 * n, 2 * n + 1, 10 + n] for n, axis in enumerate(AXES)}
    axis_of = {i: axis for axis, labels in pool.items() for i in labels}
    labels = []
    for x, _ in chosen:
        labels.append(tuple(draw(st.sampled_from(pool[axis])) for axis in x.axes))
    carried = sorted(set(itertools.chain(*labels)))
    out = draw(st.permutations(carried))[: draw(st.integers(0, min(3, len(carried))))]
    extra = draw(st.sampled_from([None, None, *(20 + n for n in range(len(AXES)))]))
    broadcast = {}
    if extra is not None:
        broadcast = {extra: AXES[extra - 20]}
        out.insert(draw(st.integers(0, len(out))), extra)
    sizes = {i: int(a.size) for i, a in (axis_of | broadcast).items()}
    node = einsum([x for x, _ in chosen], labels, tuple(out), broadcast)
    return node, naive_einsum([v for _, v in chosen], labels, tuple(out), sizes)


def draw_sum(draw: st.DrawFn, pool: Sequence[Pair]) -> Pair:
    first = draw(st.sampled_from(pool))
    terms = [first, *(p for p in pool if p[0].axes == first[0].axes)]
    terms = terms[: draw(st.integers(1, len(terms)))]
    numbers = [draw(st.sampled_from(NUMBERS)) for _ in terms]
    total = sum((c * v for c, (_, v) in zip(numbers, terms, strict=True)), 0 * first[1])
    return add([(c, x) for c, (x, _) in zip(numbers, terms, strict=True)]), np.asarray(total, dtype=object)


@EXAMPLES
@given(st.data())
def test_random_graphs_equal_their_naive_evaluation(data: st.DataObject) -> None:
    draw = data.draw
    leaves = [draw_input(draw, name) for name in "xy"]
    inputs = {x: v for x, v in leaves if isinstance(x, Input)}
    pool: list[Pair] = [*leaves, draw_leaf(draw), draw_leaf(draw)]
    for _ in range(draw(st.integers(1, 5))):
        if draw(st.integers(0, 3)) == 0:
            pool.append(draw_sum(draw, pool))
        else:
            chosen = draw(st.lists(st.sampled_from(pool), min_size=1, max_size=3))
            pool.append(draw_product(draw, chosen))
        x, expected = pool[-1]
        assert tuple(a.size for a in x.axes) == expected.shape
        assert np.array_equal(evaluate(x, inputs), expected)
        if is_zero(x):
            assert (expected == 0).all()


@EXAMPLES
@given(st.data())
def test_transposition_is_exactly_adjoint(data: st.DataObject) -> None:
    """<y, J x> = <J^T y, x> for random linear programs, with naive sums on both sides."""
    draw = data.draw
    variables = [draw_input(draw, name, "direction") for name in ("x1", "x2")]
    constants = [draw_input(draw, name) for name in ("u", "v")] + [draw_leaf(draw)]
    inputs = {x: v for x, v in [*variables, *constants] if isinstance(x, Input)}
    linear: list[Pair] = list(variables)
    for _ in range(draw(st.integers(1, 6))):
        if draw(st.integers(0, 2)) == 0:
            linear.append(draw_sum(draw, linear))
        else:
            others = draw(st.lists(st.sampled_from(constants), max_size=2))
            chosen = [draw(st.sampled_from(linear)), *others]
            linear.append(draw_product(draw, chosen))
    output, value = linear[-1]
    bar = Input("bar", output.axes, "data", "bar")
    inputs[bar] = array([(7 * i) % 5 - 2 for i in range(value.size)], value.shape)
    directions = [x for x, _ in variables if isinstance(x, Input)]
    adjoint = transpose(output, directions, bar)
    pulled = sum(np.sum(evaluate(adjoint[x], inputs) * v) for x, v in variables)
    assert pulled == np.sum(inputs[bar] * value)
    # A linear map is its own derivative.
    dot = jvp([output], {x: x for x in directions})
    assert np.array_equal(evaluate(dot[output], inputs), value)


def test_adjoint_check_refutes_a_transpose_left_out() -> None:
    """Negative control for the test above."""
    b = AXES[1]
    square = Input("A", (b, b), "data", "A")
    x, bar = Input("x", (b,), "direction", "x"), Input("bar", (b,), "data", "bar")
    output = einsum((square, x), ((0, 1), (1,)), (0,))
    values = {
        square: array(range(9), (3, 3)),
        x: array([1, -2, 2], (3,)),
        bar: array([2, 0, 4], (3,)),
    }
    expected = (values[bar] * evaluate(output, values)).sum()
    right = transpose(output, (x,), bar)[x]
    wrong = einsum((square, bar), ((0, 1), (1,)), (0,))
    assert (evaluate(right, values) * values[x]).sum() == expected
    assert (evaluate(wrong, values) * values[x]).sum() != expected


@pytest.mark.parametrize("case", ["product", "constant", "map"])
def test_transposition_refuses_what_is_not_linear(case: str) -> None:
    b = AXES[1]
    x = Input("x", (b, b), "direction", "x")
    output = {
        "product": inner(x, x),
        "constant": add([(1, x), (1, Const(Fraction(1), (b, b)))]),
        "map": power(x, -1),
    }[case]
    with pytest.raises(TypeError, match="linear"):
        transpose(output, (x,), Const(Fraction(1), output.axes))


# What the constructors promise to simplify ------------------------------------------------------------------------


def test_equal_formulas_are_the_same_node() -> None:
    a, b = AXES[:2]
    w, x = Input("W", (a, b), "parameter", "W"), Input("x", (b,), "data", "x")
    assert Input("W", (a, b), "parameter", "W") is w
    y = einsum((w, x), ((0, 1), (1,)), (0,))
    assert einsum((x, w), ((7,), (3, 7)), (3,)) is y
    assert einsum((einsum((w,), ((0, 1),), (1, 0)), x), ((1, 0), (1,)), (0,)) is y
    assert add([(1, y), (2, y)]) is scale(3, y)
    assert scale(Fraction(1, 3), scale(3, y)) is y
    assert is_zero(add([(1, y), (-1, y)]))
    assert is_zero(hadamard(zero((a,)), y))
    assert einsum((Identity((a, a)), y), ((0, 1), (1,)), (0,)) is y
    assert matmul(Identity((a, a)), w) is w
    assert hadamard(Const(Fraction(5), (a,)), y) is scale(5, y)
    assert einsum((scale(2, w), scale(3, x)), ((0, 1), (1,)), (0,)) is scale(6, y)
    assert gate(y, Fraction(2), Fraction(2), 1) is Const(Fraction(2), (a,))
    assert isinstance(scale(2, y), Add)
    assert isinstance(y, Einsum)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 7, 64, 65, -1, -3])
def test_integer_powers(exponent: int) -> None:
    x = Input("x", (), "parameter", "x")
    value = evaluate(power(x, exponent), {x: array([-2], ())})
    assert value[()] == Fraction(-2) ** exponent


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda x, y: add([]), "at least one term"),
        (lambda x, y: add([(1, x), (1, y)]), "equal axes"),
        (lambda x, y: einsum((x, y), ((0,), (0,)), ()), "joins the different axes"),
        (lambda x, y: einsum((x,), ((0, 1),), ()), "was given 2 labels"),
        (lambda x, y: einsum((x,), ((0,),), (0, 1)), "belongs to no argument"),
        (lambda x, y: einsum((x,), ((0,),), (0, 0)), "repeat"),
        (lambda x, y: apply("tan", x), "the table has exp, log, sin, cos"),
    ],
)
def test_constructors_refuse_nonsense(build, message: str) -> None:
    x, y = Input("x", AXES[:1], "data", "x"), Input("y", AXES[1:2], "data", "y")
    with pytest.raises(ValueError, match=message):
        build(x, y)


# Derivatives of programs that no network makes ----------------------------------------------------------------------


def unusual_objective() -> sf.Objective:
    """Traces, diagonals, broadcasts and elementwise functions of matrices."""
    b = AXES[1]
    w, v = Input("W", (b, b), "parameter", "W"), Input("V", (b,), "parameter", "V")
    c = Input("C", (b, b), "data", "C")
    product = matmul(c, w)
    trace = einsum((w,), ((0, 0),), ())
    diagonal = einsum((product, v), ((0, 0), (0,)), (0,))
    spread = einsum((v,), ((0,),), (0, 1), {1: b})
    curved = add([(1, apply("exp", scale(Fraction(1, 4), product))), (2, power(spread, 3))])
    wave = hadamard(apply("sin", diagonal), apply("cos", v))
    total = add(
        [
            (1, inner(curved, w)),
            (Fraction(1, 3), power(trace, 2)),
            (Fraction(1, 5), power(einsum((v,), ((0,),), ()), 4)),
            (-1, einsum((wave,), ((0,),), ())),
            (1, inner(power(add([(1, hadamard(v, v)), (1, Const(Fraction(2), (b,)))]), Fraction(-1, 2)), diagonal)),
        ]
    )
    program = Program((w, v, c), {"f": total})
    return sf.Objective(program, (w, v), {c: array([1, -2, 0, 3, 1, 1, -1, 2, 2], (3, 3))})


def test_unusual_programs_have_consistent_derivatives() -> None:
    """Gradient, product and blocks against the directional derivatives of f and central differences of f."""
    o = unusual_objective()
    theta = [mpmath.mpf(i % 5 - 2) / 4 + mpmath.mpf(1) / 16 for i in range(12)]
    unit = np.array([[mpmath.mpf(int(i == k)) for k in range(12)] for i in range(12)], dtype=object)
    with mpmath.workdps(50):
        g, h = (sf.evaluate_mpmath(f(o), theta) for f in (sf.gradient, sf.hessian))
        step = mpmath.mpf(10) ** -12
        for i in range(12):
            column = sf.evaluate_mpmath(sf.hessian_vector_product(o), theta, unit[i])
            assert all(abs(a - b) < mpmath.mpf(10) ** -45 for a, b in zip(column, h[:, i], strict=True))
            assert abs(sf.evaluate_mpmath(sf.hessian_form(o), theta, unit[i]) - h[i, i]) < mpmath.mpf(10) ** -45
            below, at, above = (sf.evaluate_mpmath(sf.loss(o), theta + s * step * unit[i]) for s in (-1, 0, 1))
            assert abs((above - below) / (2 * step) - g[i]) < mpmath.mpf(10) ** -20
            assert abs((above - 2 * at + below) / step**2 - h[i, i]) < mpmath.mpf(10) ** -20
