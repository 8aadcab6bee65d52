r"""How far the series that a recurrence has computed are from the truth, and so the defect of a Taylor step.

The state is the polynomial theta~ that was computed, exactly. Every other series of the recurrence stands for a
function of theta~(s); its *remainder* bounds the difference in the norm of `programs.rules.series_bounds`: rounding of
every coefficient, terms beyond the order, and what the remainders of its factors do. The field's own remainder, its
last coefficient, which the state does not use, and the rounding of the integration bound the defect

    theta~'(s) - 2^tau F(theta~(s)),    s = t / 2^tau.

Nothing is computed again: the cost is proportional to the number of coefficients, not to its square.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf, isnan, ldexp

import numpy as np
from flint import arb
from gmpy2 import mpz

from symflow.evaluate.fixed_point import FixedSeries
from symflow.evaluate.products import Coefficients
from symflow.evaluate.series import WITHIN_FLOAT64, Recurrence
from symflow.evaluate.series_steps import Function, LogSumExp, Product, Step, Sum
from symflow.numbers.balls import FLOAT64_BITS, ball_precision, float_above, from_fixed
from symflow.numbers.fixed_point import to_float
from symflow.programs.rules.elementwise import elementwise
from symflow.programs.rules.series_bounds import ROUNDED_UP, Expanded, SeriesBound

RADII = (1.0, 0.9, 0.8)
"""Parts of the series' own radius of convergence, on a logarithmic scale, that are tried for rho."""
EXTRA_BITS = 32
"""Bits beyond those of the series with which their first coefficients are checked."""


@dataclass(frozen=True)
class Remainders:
    """What is proved of one Taylor step, in units of the last place (2^-bits) and in the variable s = t / 2^tau.

    Attributes:
        defect: at least |theta~'_i(s) - 2^tau F_i(theta~(s))|, one for every entry of the state.
        speed: at least |theta~'_i(s)|, plain numbers.
        watched: for other series, by what they are: at least the distance of the series from the truth, in ulps.
    """

    defect: np.ndarray
    speed: np.ndarray
    watched: dict[int, float]


def remainders(recurrence: Recurrence, s: mpz, tau: int, watched: Sequence[Coefficients] = ()) -> Remainders:
    """Bounds for the series as they are expanded, on [0, s].

    Args:
        recurrence: expanded.
        s: where the step ends, or later; fixed point, at most 1.
        tau: of the variable.
        watched: series whose remainders are wanted.

    Raises:
        TypeError: a function has no rule.
    """
    recurrence.read(list(_read_exactly(recurrence.steps)))
    with np.errstate(invalid="ignore", over="ignore"):  # what is beyond float64 is not known
        found = _Remainders(recurrence, s, tau)
        defects, speeds = found.defects(), found.speeds()
        known = {id(series): found.of(series) * ROUNDED_UP for series in watched}
    return Remainders(
        np.nan_to_num(np.array(defects) * ROUNDED_UP, nan=inf, posinf=inf),
        np.nan_to_num(speeds * ROUNDED_UP, nan=inf, posinf=inf),
        {key: inf if isnan(value) else value for key, value in known.items()},
    )


def _read_exactly(steps: Iterable[Step]) -> Iterator[Coefficients]:
    """The series whose integers the rules of functions look at; of all others float64 is enough."""
    for step in steps:
        if isinstance(step, Function):
            yield from (step.x, step.out)
        elif isinstance(step, LogSumExp):
            yield from step.shares


class _Remainders:
    """Norms of all series of a recurrence, and remainders as they are asked for."""

    def __init__(self, recurrence: Recurrence, s: mpz, tau: int) -> None:
        arithmetic = recurrence.arithmetic
        assert isinstance(arithmetic, FixedSeries)
        self.bits, self.tau, self.recurrence = arithmetic.bits, tau, recurrence
        self.s = _up(s, self.bits)
        self.steps: dict[int, Step] = {id(step.out): step for step in recurrence.steps}
        series = recurrence.series
        sizes, lengths = recurrence.sizes(series)
        self.state = sizes[: len(recurrence.state)]
        self.order = sizes.shape[1] - 1
        self.ulp = max(ldexp(1.0, -self.bits) if self.bits < WITHIN_FLOAT64 else 0.0, 2.0**-WITHIN_FLOAT64)
        powers = np.full(self.order + 1, self.s)
        powers[0] = 1.0
        self.powers = np.cumprod(powers)
        self.spread = float(self.powers.sum())
        self._bound(series, sizes, lengths)
        self.known: dict[int, float] = {id(c): 0.0 for c in recurrence.state}
        self.initial: dict[int, float] = {}

    def _bound(self, series: list[Coefficients], sizes: np.ndarray, lengths: np.ndarray) -> None:
        """Norms, and sizes relative to a geometric series for the rho that bounds the tails best."""
        terms = self.order + 1
        below = 2.0**-WITHIN_FLOAT64 if self.bits >= WITHIN_FLOAT64 else 0.0
        values = (sizes + below) * (1 + 2.0**-49) * self.powers
        norms, rests = values.sum(axis=1), values[:, 1:].sum(axis=1)
        places = np.arange(terms)
        log2_s = _log2_above(self.s)
        scales = np.where(lengths > 0, lengths, -np.inf) - self.bits + places * log2_s
        top = slice(max(1, terms - 4), terms)
        with np.errstate(invalid="ignore"):
            decay = (scales.max() - scales[:, top].max(axis=0)) / places[top]
        widest = float(np.clip(np.nan_to_num(decay, nan=40.0, posinf=40.0).min(), 0.05, 40.0))
        best = inf
        for part in RADII:
            log2_rho = part * widest
            largest = (scales + places * log2_rho).max(axis=1)
            share = float(_exp2_above(np.asarray(-log2_rho)))
            factor = float(_exp2_above(np.asarray(self.bits - terms * log2_rho))) * self.order / (1 - share)
            size = float(_exp2_above(largest.max()))
            if factor * size * size < best or best == inf:
                best, chosen = factor * size * size, (factor, largest)
        self.tail_factor, largest = chosen[0] * ROUNDED_UP, chosen[1]
        sized = _exp2_above(largest)
        rows = zip(norms.tolist(), rests.tolist(), sized.tolist(), strict=True)
        self.bounds = {id(c): SeriesBound(*row) for c, row in zip(series, rows, strict=True)}
        self.firsts = {id(c): v for c, v in zip(series, sizes[:, 0].tolist(), strict=True)}

    def tail(self, a: float, b: float) -> float:
        """Of a product of series of these sizes, in ulps."""
        return a * b * self.tail_factor if a and b else 0.0

    def of(self, series: Coefficients) -> float:
        """The remainder of a series, in ulps."""
        key = id(series)
        if key not in self.known:
            self.known[key] = self._remainder(self.steps[key])
        return self.known[key]

    def _remainder(self, step: Step) -> float:
        if isinstance(step, Product):
            return self._product(step)
        if isinstance(step, Sum):
            scaled = sum(_size(n, step.denominator) * self.of(x) for n, x in step.terms)
            return scaled + (self.spread if step.denominator != 1 else 0.0) + (step.constant is not None)
        return self._function(step) if isinstance(step, Function) else self._log_sum_exp(step)

    def _product(self, step: Product) -> float:
        total, tails, bounds = self.spread + (step.constant is not None), 0.0, self.bounds
        for a, b in step.pairs:
            left, right, moved_left, moved_right = bounds[id(a)], bounds[id(b)], self.of(a), self.of(b)
            total += left.norm * moved_right + moved_left * (right.norm + moved_right * self.ulp)
            tails += left.largest * right.largest
        for c, x in step.scaled:
            total += (abs(to_float(c, self.bits)) + 2.0**-40) * self.of(x) + bounds[id(x)].norm
        return total + self.tail(tails, 1.0)

    def _function(self, step: Function, *, moved: float | None = None) -> float:
        """By the rule of the function; `moved` is the argument's remainder where it is not its own."""
        u = elementwise(step.name, step.exponent)
        slope = step.out if step.derivative is None else step.derivative
        expanded = Expanded(
            self.bounds[id(step.x)],
            self.bounds[id(step.out)],
            self.bounds[id(slope)],
            self.firsts[id(step.x)],
            self.of(step.x) if moved is None else moved,
            max(self._initial(step), self._initial(self.steps.get(id(slope)))),
            2 * self.spread,
            self.spread,
            self.ulp,
            self.tail,
            partial(self.of, slope),
            partial(self._residual, step.x, step.out),
        )
        return float(u.known("remainder", "proofs of series")(expanded))

    def _initial(self, step: Step | None) -> float:
        """How far the first coefficient of a function is from its value, in ulps; 0 for what is no function."""
        if not isinstance(step, Function):
            return 0.0
        key = id(step.out)
        if key not in self.initial:
            ball = elementwise(step.name, step.exponent).known("ball", "proofs of series")
            with ball_precision(self.bits + EXTRA_BITS):
                off = abs(ball(from_fixed(step.x[0], self.bits)) - from_fixed(step.out[0], self.bits))
                self.initial[key] = float_above(off / from_fixed(1, self.bits))
        return self.initial[key]

    def _residual(self, x: Coefficients, y: Coefficients, q: int, p: int, b: int) -> float:
        """||q x y' - p y x' - b x'|| s in ulps, of the polynomials, exactly but for the last sum."""
        from flint import fmpz_poly

        argument, function = (fmpz_poly([int(c) for c in series]) for series in (x, y))
        slope, one = argument.derivative(), fmpz_poly([1 << self.bits])
        found = q * argument * function.derivative() - p * function * slope - b * one * slope
        powers = np.cumprod(np.full(found.degree() + 1, self.s))
        sizes = [abs(to_float(mpz(int(c)), self.bits)) + 2.0**-1000 for c in found.coeffs()]
        return float(np.dot(sizes, powers)) if sizes else 0.0

    def _log_sum_exp(self, step: LogSumExp) -> float:
        """With E = sum_i e^{x^_i - l^} = 1 + eps, l = l^ + log(1 + eps); and l is 1-Lipschitz in x, up to sum s_i."""
        shares = [self.steps[id(share)] for share in step.shares]
        own = 0.0
        for share in shares:
            assert isinstance(share, Function)
            own += self._function(share, moved=0.0)
        total = [sum(column, mpz(0)) for column in zip(*step.shares, strict=True)]
        total[0] -= mpz(1) << self.bits
        own += sum(abs(to_float(c << self.bits, self.bits)) * w for c, w in zip(total, self.powers, strict=True))
        norm = sum(self.bounds[id(share)].norm for share in step.shares)
        moved = max(self.of(x) for x in step.xs)
        if not (own * self.ulp < 0.1 and moved * self.ulp < 0.1):
            return inf
        return 2 * own + moved * 2 * (norm + own * self.ulp)

    def speeds(self) -> np.ndarray:
        """At least |theta~'_i|, one for every entry of the state."""
        places = np.arange(1, self.order + 1)
        return np.asarray(((self.state[:, 1:] + self.ulp) * places * self.powers[:-1]).sum(axis=1))

    def defects(self) -> list[float]:
        """At least |theta~'_i - 2^tau F_i|, in ulps, one for every entry of the state."""
        unit = 2.0**self.tau if abs(self.tau) < 1000 else inf
        rounding = self.order * self.spread
        newest = iter(self.recurrence.field_coefficient(self.order))
        found = []
        for entry in self.recurrence.field:
            if isinstance(entry, list):
                last = abs(to_float(next(newest) << self.bits, self.bits)) * float(self.powers[-1])
                found.append(rounding + unit * (self.of(entry) + last))
            else:
                found.append(rounding + unit * (entry is not None))
        return found


def _size(numerator: int, denominator: int) -> float:
    """|numerator / denominator|, to float64; infinite beyond it."""
    try:
        return abs(numerator) / denominator
    except OverflowError:
        return inf


def _log2_above(x: float) -> float:
    """At least log2 x."""
    with ball_precision(FLOAT64_BITS):
        return float_above(arb(x).log() / arb(2).log())


def _exp2_above(x: np.ndarray) -> np.ndarray:
    """At least 2^x, for x known to 2^-22: on [n, n + 1] the chord 2^n (1 + x - n); infinite from x = 1000 on."""
    clipped = np.clip(x, -1000.0, 1000.0)
    whole = np.floor(clipped)
    return np.where(x < 1000, np.ldexp(1 + (clipped - whole), whole.astype(int)) * ROUNDED_UP, inf)


def _up(value: mpz, bits: int) -> float:
    """A positive fixed-point number as a float that is not smaller."""
    return max(to_float(value, bits) * (1 + 2.0**-50), 2.0**-900)
