"""theta(0): given, or drawn as exact rationals that depend on the seed alone, on every platform.

Schemes, with their defaults (``seed`` is 0 unless given):

- ``gaussian``: every weight N(0, scale^2), scale 1/10.
- ``xavier``: Glorot's uniform distribution on +-scale sqrt(6 / (fan-in + fan-out)), scale 1.
- ``balanced``: W_{j+1}^T W_{j+1} = W_j W_j^T exactly, singular values between scale/2 and 3 scale/2, scale 1; in
  diagonal networks all weights of a unit have the same size, between scale/2 and 3 scale/2.

A diagonal layer has fan-in and fan-out 1. Biases are 0, or with ``bias_scale`` drawn as the weights are, in place of
``scale``: N(0, bias_scale^2), or uniform on +-bias_scale sqrt(6 / (fan-in + fan-out)) of their layer. They are drawn
after all weights, which do not depend on them.

Only ``random.Random.getrandbits`` is drawn from (a Mersenne twister fixed by Python's documentation) and only integer
and ``decimal`` arithmetic follows, correctly rounded; no floating-point library takes part.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from itertools import pairwise

import numpy as np

from symflow.errors import ProblemError
from symflow.networks.network import FullyConnected, Network
from symflow.numbers.rational import rational_array, text
from symflow.problem.schema import InitSection
from symflow.programs.program import shape_of

DECIMALS = 15
"""Decimals to which the draws of ``gaussian`` and ``xavier`` are rounded (before ``scale`` multiplies them)."""
MAX_BALANCED_WIDTH = 64
"""Widest layer of ``balanced``; the digits of its weights grow with the widths."""
DEFAULT_SCALE = {"gaussian": Fraction(1, 10), "xavier": Fraction(1), "balanced": Fraction(1)}


def initial_theta(init: InitSection, network: Network, source: str) -> tuple[Fraction, ...]:
    """theta(0): all P parameters, W_1, b_1, W_2, b_2, ..., each matrix row-major.

    Args:
        init: the [init] section.
        network: the architecture.
        source: where the section is from, the start of every error message.

    Raises:
        ProblemError: not P weights, one that is not a number, or a network without a `balanced` start.
    """
    shapes = parameter_shapes(network)
    count = sum(map(math.prod, shapes))
    if init.theta is not None:
        where = f"{source}: init.theta"
        given = tuple(rational_array(init.theta, where, ndim=1))
        if len(given) != count:
            words = "parameters" if any(network.biases) else "weights"
            raise ProblemError(f"{where} must have all {count} {words} ({_shapes(shapes)}), got {len(given)}")
        return given
    if init.bias_scale is not None and not any(network.biases):
        raise ProblemError(
            f"{source}: init.bias_scale = {text(init.bias_scale)} goes with a network with biases, got one without; "
            "remove it or set network.biases"
        )
    rng = random.Random(init.seed or 0)
    scale = DEFAULT_SCALE[str(init.scheme)] if init.scale is None else init.scale
    weights = [shape_of(axes) for axes in network.weight_axes]
    if init.scheme == "balanced":
        drawn = _balanced_weights(rng, network, scale, init.bias_scale, source)
    elif init.scheme == "gaussian":
        rest = iter(gaussian(rng, sum(map(math.prod, weights))))
        drawn = [[scale * next(rest) for _ in range(math.prod(shape))] for shape in weights]
    else:
        fans = zip(weights, network.fans, strict=True)
        drawn = [[scale * value for value in glorot(rng, *fan, math.prod(shape))] for shape, fan in fans]
    biases = _biases(rng, network, str(init.scheme), init.bias_scale or Fraction(0))
    return tuple(value for pair in zip(drawn, biases, strict=True) for layer in pair for value in layer)


def parameter_shapes(network: Network) -> list[tuple[int, ...]]:
    """The shapes of W_1, b_1, W_2, b_2, ..., in the order of theta."""
    found: list[tuple[int, ...]] = []
    for axes, biased in zip(network.weight_axes, network.biased, strict=True):
        shape = shape_of(axes)
        found += [shape, shape[:1]] if biased else [shape]
    return found


def _biases(rng: random.Random, network: Network, scheme: str, scale: Fraction) -> list[list[Fraction]]:
    """The biases of every layer with weights, drawn after all weights; zeros for scale 0, none where it has none."""
    found: list[list[Fraction]] = []
    for shape, fan, biased in zip(network.shapes, network.fans, network.biased, strict=True):
        count = shape[0] if biased else 0
        if scale == 0:
            found.append([Fraction(0)] * count)
        else:
            values = gaussian(rng, count) if scheme == "gaussian" else glorot(rng, *fan, count)
            found.append([scale * value for value in values])
    return found


def _balanced_weights(
    rng: random.Random, network: Network, scale: Fraction, bias_scale: Fraction | None, source: str
) -> list[list[Fraction]]:
    """The weights of a balanced start, the entries of each layer in a list.

    With biases they are balanced together with biases 0.

    Raises:
        ProblemError: a network without such a start, or one that is too wide.
    """
    where = f'{source}: init.scheme = "balanced"'
    if not isinstance(network, FullyConnected):
        raise ProblemError(
            f"{where} must go with a fully-connected network (W_{{j+1}}^T W_{{j+1}} = "
            f'W_j W_j^T has no meaning for shared weights), got "{network.kind}"; use "xavier"'
        )
    if network.skip:
        raise ProblemError(
            f"{where} must go with a network without skip connections (W_{{j+1}}^T W_{{j+1}} - W_j W_j^T is not "
            f'conserved with them), got skip = {[list(pair) for pair in network.skip]}; use "xavier"'
        )
    if bias_scale:
        raise ProblemError(
            f"{where} has biases 0 (W_{{j+1}}^T W_{{j+1}} = W_j W_j^T + b_j b_j^T is conserved), got init.bias_scale = "
            f"{text(bias_scale)}; remove it"
        )
    widths = [int(width) for width in network.widths]
    if network.diagonal:
        return _balanced_units(rng, network, widths, scale, where)
    if max(widths) > MAX_BALANCED_WIDTH:
        raise ProblemError(
            f"{where} must have widths of at most {MAX_BALANCED_WIDTH}, got {max(widths)}; "
            "use narrower layers or another scheme"
        )
    return [list(matrix.flat) for matrix in balanced(rng, widths, scale)]


def _balanced_units(
    rng: random.Random, network: FullyConnected, widths: Sequence[int], scale: Fraction, where: str
) -> list[list[Fraction]]:
    """Every weight of unit r is +-s_r: then all w_j[r]^2 are equal, which the flow of a diagonal network conserves.

    Raises:
        ProblemError: a layer that is neither diagonal nor leads from one input or to one output.
    """
    ends = {j for j in (1, network.depth) if 1 in widths[j - 1 : j + 1]}
    mixed = [j for j in range(1, network.depth + 1) if j not in network.diagonal and j not in ends]
    if mixed:
        raise ProblemError(
            f"{where} must go with layers that all are diagonal (the first may have one input, the last one output) or "
            f'none of them, got diagonal = {list(network.diagonal)} of {network.depth} layers; use "gaussian"'
        )
    sizes = [scale * Fraction(50 + _below(rng, 101), 100) for _ in range(max(widths))]
    return [[size * (1 - 2 * rng.getrandbits(1)) for size in sizes[: max(pair)]] for pair in pairwise(widths)]


def gaussian(rng: random.Random, count: int) -> list[Fraction]:
    """Standard normal draws rounded to 15 decimals, by Marsaglia's polar method.

    u sqrt(-2 log(s) / s) and v sqrt(-2 log(s) / s) for (u, v) uniform in the unit disk, s = u^2 + v^2.
    """
    values: list[Fraction] = []
    unit = 1 << 62
    with localcontext(Context(prec=30)):
        while len(values) < count:
            u, v = 2 * rng.getrandbits(62) + 1 - unit, 2 * rng.getrandbits(62) + 1 - unit
            square = u * u + v * v
            if square >= unit * unit:
                continue
            s = Decimal(square) / (unit * unit)
            factor = (-2 * s.ln() / s).sqrt() / unit
            values.extend(_rounded(w * factor) for w in (Decimal(u), Decimal(v)))
    return values[:count]


def glorot(rng: random.Random, before: int, after: int, count: int) -> list[Fraction]:
    """`count` draws, uniform on the multiples of 10^-15 within +-sqrt(6 / (fan-in + fan-out))."""
    largest = math.isqrt(6 * 10 ** (2 * DECIMALS) // (before + after))
    # 128 bits over a range of about 2^51: the bias is below 2^-76
    draws = ((rng.getrandbits(128) * (2 * largest + 1) >> 128) - largest for _ in range(count))
    return [Fraction(draw, 10**DECIMALS) for draw in draws]


def balanced(rng: random.Random, widths: Sequence[int], scale: Fraction) -> list[np.ndarray]:
    """Weights with W_{j+1}^T W_{j+1} = W_j W_j^T exactly: W_j = U_j S U_{j-1}^T.

    U_j is the first r columns of a random rational orthogonal d_j x d_j matrix, r = min_j d_j, and S a diagonal of r
    random multiples of scale/100 between scale/2 and 3 scale/2. Known for general balanced initialization: Arora,
    Cohen, Golowich and Hu 2019 (there through an irrational singular value decomposition).

    Args:
        rng: the source of bits.
        widths: d_0, ..., d_n.
        scale: multiplies S.

    Returns:
        W_1, ..., W_n, object arrays of ``Fraction`` of shapes (d_j, d_{j-1}).
    """
    rank = min(widths)
    singular = np.array([scale * Fraction(50 + _below(rng, 101), 100) for _ in range(rank)], dtype=object)
    frames = [orthogonal(rng, width, rank) for width in widths]
    return [_product(after * singular, before.T) for before, after in pairwise(frames)]


def orthogonal(rng: random.Random, width: int, columns: int) -> np.ndarray:
    """The first columns of a random rational orthogonal matrix, (I + A)^-1 (I - A) with A skew, with random signs.

    Up to the signs of its columns every orthogonal matrix is such a Cayley transform. A's entries are the multiples of
    1/(3 sqrt(width)) (the root rounded) between -1/sqrt(width) and 1/sqrt(width), so that A is of size about 1.

    Args:
        rng: the source of bits.
        width: d, the number of rows.
        columns: r <= d.

    Returns:
        (d, r) object array of ``Fraction`` whose columns are orthonormal.
    """
    from sympy import ZZ
    from sympy.polys.matrices import DomainMatrix

    size = 3 * max(1, math.isqrt(width))
    skew = [[0] * width for _ in range(width)]
    for i in range(width):
        for j in range(i):
            entry = _below(rng, 7) - 3
            skew[i][j], skew[j][i] = entry, -entry
    signs = [1 - 2 * rng.getrandbits(1) for _ in range(columns)]
    plus = [[ZZ((size if i == j else 0) + skew[i][j]) for j in range(width)] for i in range(width)]
    minus = [[ZZ(signs[j] * ((size if i == j else 0) - skew[i][j])) for j in range(columns)] for i in range(width)]
    solution, denominator = DomainMatrix(plus, (width, width), ZZ).solve_den(DomainMatrix(minus, (width, columns), ZZ))
    result = np.empty((width, columns), dtype=object)
    for i, row in enumerate(solution.to_list()):
        result[i] = [Fraction(int(entry), int(denominator)) for entry in row]
    return result


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The matrix product over common denominators: integers multiply many times faster than fractions."""
    bottoms = [math.lcm(*(value.denominator for value in matrix.flat)) for matrix in (a, b)]
    left, right = (
        np.array([int(value * bottom) for value in matrix.flat], dtype=object).reshape(matrix.shape)
        for matrix, bottom in zip((a, b), bottoms, strict=True)
    )
    product, bottom = left @ right, math.prod(bottoms)
    return np.array([Fraction(int(value), bottom) for value in product.flat], dtype=object).reshape(product.shape)


def _below(rng: random.Random, count: int) -> int:
    """A uniform integer in 0, ..., count - 1 (bias below 2^-50 for small counts)."""
    return rng.getrandbits(64) * count >> 64


def _rounded(value: Decimal) -> Fraction:
    return Fraction(int(value.scaleb(DECIMALS).to_integral_value()), 10**DECIMALS)


def _shapes(shapes: Sequence[Sequence[int]]) -> str:
    """The shapes of the weight arrays such as "3x2 + 1x3"."""
    written = ["x".join(map(str, shape)) for shape in shapes]
    return " + ".join(written if len(written) <= 6 else [*written[:3], "...", written[-1]])
