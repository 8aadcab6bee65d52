r"""R3 as functions: what initial error, defect and one-sided rate make of the distance of two curves; only here.

    ||theta(t) - theta~(t)|| <= e^{M(t)} (rho + int_0^t e^{-M(s)} delta(s) ds),    M(t) = int_0^t m.

Time is cut into cells. An error e at the beginning of a cell, where theta~ may jump by j, is at its end at most

    growth (e + j) + defect * integral,    growth = e^{m h},    integral = int_0^h e^{m s} ds = (e^{m h} - 1)/m,

for the rate m and the defect of the cell (or, where the defect varies, its mean in the weight of the integral). A
step whose map has a known Lipschitz constant L has growth = L and what it adds in place of the integral. The fold of
this map over the cells is R3. Only + and * are asked of the numbers: floats, arrays, mpf, intervals or balls.

Float64 rounds: `fold` is told how to round outwards (`symflow.numbers.outward`). What overflows is infinite, a bound
that says nothing; an error that is exactly 0 does not grow. The statement is `r03_fundamental_theorem`; a flow loads
these functions without it, because the first sum of two symbols takes SymPy a quarter of a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from symflow.numbers.types import Scalar
from symflow.theory.functions import FLOAT64, Functions


def cell(error: Scalar, growth: Scalar, defect: Scalar, integral: Scalar, jump: Scalar = 0) -> Scalar:
    """The error at the end of a cell: growth (error + jump) + defect * integral."""
    return growth * (error + jump) + defect * integral


def constant_rate(rate: Scalar, time: Scalar, functions: Functions = FLOAT64) -> tuple[Scalar, Scalar]:
    """Growth e^{m h} and its integral (e^{m h} - 1)/m over a cell of length h in which m is constant, of any sign.

    `functions` has `exp` and `mean_exp`, x -> (e^x - 1)/x; see `symflow.theory.functions`.
    """
    exponent = rate * time
    return functions.exp(exponent), time * functions.mean_exp(exponent)


def after_step(error: Scalar, jump: Scalar, rate: Scalar, time: Scalar, defect: Scalar, functions: Functions) -> Scalar:
    """The error at the end of a step: e^{m h} (e + j) + delta (e^{m h} - 1)/m, m of either sign."""
    growth, integral = constant_rate(rate, time, functions)
    return cell(error, growth, defect, integral, jump)


def fold(
    cells: Iterable[tuple[Scalar, ...]], start: Scalar = 0.0, rounded: Callable[[Scalar], Scalar] = lambda x: x
) -> Iterator[Scalar]:
    """The error after each cell.

    Args:
        cells: (growth, defect, integral), with a jump at the beginning of the cell as a fourth number where there is
            one.
        start: rho, the error at the beginning.
        rounded: what makes a bound of a value with the rounding of one cell, such as `outward.above` for float64.
    """
    error = start
    for growth, defect, integral, *jump in cells:
        grows = growth if error or any(jump) else 1.0  # 0 times an infinite growth is 0
        error = rounded(cell(error, grows, defect, integral, *jump))
        yield error
