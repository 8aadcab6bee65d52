#!/usr/bin/env python3
r"""Checks a certificate: a theorem on gradient descent and gradient flow of one network, proved by computation.

    python certificate_check.py theorem.json

prints what was verified. Exit status 0: the statement is proved. 1: rejected; one line says which inequality fails,
with both of its sides. 2: the file cannot be read as a certificate. This program needs python-flint and nothing else.

The problem. h(x) = W_n s(W_{n-1} ... s(W_1 x)), s(z) = alpha z for z >= 0 and alpha_bar z for z < 0. f(theta) is the
mean over the samples of l(h(x_i), y_i). The flow is theta' in -c df(theta), df Clarke's subdifferential (the gradient
wherever there is one), from theta0; c is 1 for gradient descent and 1/(1 - beta) for heavy ball. Descent is theta_{k+1}
= theta_k + v_{k+1}, v_{k+1} = beta v_k - eta g(theta_k), v_0 = 0, where g takes the slope alpha at z = 0.

The proof. All numbers are balls (arb: a midpoint and a radius that holds every rounding error), so an inequality that
is found true is true. The file gives, step by step, a polynomial p(s) near the flow. The program bounds its defect
||p' + c g(p)|| itself, and cuts each step into cells; a cell has a tube (all points within `radius` of p), a rate m and
an error e at its end. On the tube of a cell it proves, depending on the cell's kind:

- smooth: no pre-activation vanishes, and -lambda_min(c H) <= m. Then (the fundamental theorem, Hairer, Norsett and
  Wanner, Solving ODEs I, Theorem 10.6) e(t) <= e^{mt} (e + j) + delta (e^{mt} - 1)/m, j the jump of p at a joint.
- kink: nothing but what the gates can be. The flow's velocity lies in the gradient with every gate that may change
  replaced by the interval of its slopes, so that e(t) <= e + j + t sup ||p' + c g||.
- convex: every gate whose pre-activation may vanish has alpha > alpha_bar and a positive back-propagated coefficient b
  on the tube, for all values of these gates. Then f is there the largest of its smooth pieces, each of which has
  -lambda_min(c H) <= m, so that c f + (m/2)||theta||^2 is convex. p' + c g is taken with slopes q in [alpha_bar, alpha]
  (given in the file for gates that slide). Replacing s(z) by q z lowers f, at p by at most gap = c sum b (s(z) - q z),
  so <theta' - p', theta - p> <= m u^2 + delta u + gap for u = ||theta - p||; where u >= sqrt(gap), gap/u <= sqrt(gap).
  Hence e(t) <= e^{Mt} max(e + j, sqrt(gap)) + (delta + sqrt(gap)) (e^{Mt} - 1)/M with M = max(m, 0).

In each case e < radius on the whole cell, so the flow never leaves the tube. Descent is computed in balls from theta0.
For all time (Polyak, Lojasiewicz): see `attraction`.
"""

import json
import math
import sys
from bisect import bisect_left
from fractions import Fraction
from operator import mul

import flint
from flint import acb, arb, arb_mat, arb_poly, arb_series, fmpq, fmpq_mat

FORMAT = 1
LOSSES = ("square", "logistic", "exponential", "cross-entropy")


class Rejected(Exception):
    """An inequality that was not proved."""


class Unreadable(Exception):
    """The file is not a certificate."""


def require(holds, what, left, relation, right):
    """Rejects unless an inequality holds for certain; both sides are shown."""
    if not holds:
        raise Rejected(f"{what}: {shown(left)} {relation} {shown(right)} is not proved")


def shown(v):
    return v.str(8, radius=False) if isinstance(v, arb) else str(v)


# Numbers --------------------------------------------------------------------------------------------------------------


def ball(q):
    """An exact rational as a ball."""
    return arb(fmpq(q.numerator, q.denominator))


def around(radius):
    """The ball [-radius, radius]."""
    return arb(0, radius)


def hull(low, high):
    """A ball that contains [low, high]."""
    return (low + high) / 2 + around(((high - low) / 2).abs_upper())


def total(values):
    return sum(values, arb(0))


def norm(values):
    """An upper bound of the Euclidean norm of a vector of balls."""
    return total(v.abs_upper() ** 2 for v in values).sqrt().abs_upper()


def rational(value):
    """A number of the file: rational text such as "3/10", or [m, e] for m 2^e."""
    if isinstance(value, str):
        return Fraction(value)
    m, e = value
    if not (type(m) is int and type(e) is int and abs(e) < 100_000):
        raise ValueError(f"a number must be rational text or [mantissa, exponent], got {value!r}")
    return Fraction(m) * Fraction(2) ** e


# The network: every function here works for balls (real and complex) and for polynomials alike ------------------------


class Network:
    """Architecture, data and loss; layers, samples and units are counted from 0."""

    def __init__(self, table):
        self.widths = [int(d) for d in table["widths"]]
        self.alpha, self.alpha_bar = (rational(table[key]) for key in ("alpha", "alpha_bar"))
        self.loss = table["loss"]
        self.exact_x, self.exact_y = ([[rational(v) for v in row] for row in table[key]] for key in ("x", "y"))
        self.theta0 = [rational(v) for v in table["theta0"]]
        ends, n = (self.widths[0], self.widths[-1]), len(self.exact_x)
        rows = [(row, d) for d, data in zip(ends, (self.exact_x, self.exact_y)) for row in data]
        if len(self.widths) < 2 or min(self.widths) < 1 or n < 1 or n != len(self.exact_y) or self.loss not in LOSSES:
            raise ValueError("problem: wrong widths, data or loss")
        if any(len(row) != d for row, d in rows) or len(self.theta0) != sum(a * b for a, b in self.shapes()):
            raise ValueError("problem: data or theta0 of the wrong length")
        if self.loss == "cross-entropy" and any(sum(row) != 1 or min(row) < 0 for row in self.exact_y):
            raise ValueError("problem: targets of the cross-entropy must be probabilities")
        if self.loss in LOSSES[1:3] and any(len(row) != 1 or row[0] not in (1, -1) for row in self.exact_y):
            raise ValueError(f"problem: targets of the {self.loss} loss must be 1 or -1")
        self.x, self.y = ([[ball(v) for v in row] for row in data] for data in (self.exact_x, self.exact_y))
        self.slopes = ball(self.alpha), ball(self.alpha_bar)
        self.linear, self.count = self.alpha == self.alpha_bar, len(self.theta0)
        self.either = hull(*self.slopes)
        self.steepest = ball(max(abs(self.alpha), abs(self.alpha_bar)))

    def shapes(self):
        return [(b, a) for a, b in zip(self.widths, self.widths[1:])]

    def cut(self, theta):
        """theta as weight matrices, row by row."""
        weights, at = [], 0
        for rows, columns in self.shapes():
            weights.append([theta[at + r * columns : at + (r + 1) * columns] for r in range(rows)])
            at += rows * columns
        return weights

    def forward(self, weights, x, gate):
        """Inputs a of every layer, gates of every hidden one, and the output; gate(layer, unit, z) is a slope."""
        inputs, gates = [x], []
        for layer, w in enumerate(weights):
            z = [sum(v * a for v, a in zip(row, inputs[-1])) for row in w]
            if layer == len(weights) - 1:
                return inputs, gates, z
            gates.append([self.slopes[0] if self.linear else gate(layer, r, v) for r, v in enumerate(z)])
            inputs.append([g * v for g, v in zip(gates[-1], z)])

    def backward(self, weights, gates, top):
        """delta of every layer for the row vector `top` at the output, and b of every hidden layer (delta = gate b)."""
        deltas, coefficients = [top], []
        for layer in range(len(weights) - 1, 0, -1):
            columns = zip(*weights[layer])
            coefficients.insert(0, [sum(d * v for d, v in zip(deltas[0], column)) for column in columns])
            deltas.insert(0, [g * b for g, b in zip(gates[layer - 1], coefficients[0])])
        return deltas, coefficients

    def gradient(self, theta, gate, residual=None):
        """grad f, and the b of every sample, for gate(sample, layer, unit, z)."""
        weights, share, samples = self.cut(theta), arb(1) / len(self.x), []
        result = [arb(0)] * self.count
        for i, x in enumerate(self.x):
            inputs, gates, out = self.forward(weights, x, lambda *at, i=i: gate(i, *at))
            top = [share * v for v in (residual or self.residual)(out, self.y[i])]
            deltas, coefficients = self.backward(weights, gates, top)
            flat = [d * a for delta, a_in in zip(deltas, inputs) for d in delta for a in a_in]
            result = [u + v for u, v in zip(result, flat)]
            samples.append(coefficients)
        return result, samples

    def jacobian(self, weights, inputs, gates):
        """The rows d h_o / d theta at one sample."""
        rows, width = [], self.widths[-1]
        for o in range(width):
            deltas, _ = self.backward(weights, gates, [arb(o == c) for c in range(width)])
            rows.append([d * a for delta, a_in in zip(deltas, inputs) for d in delta for a in a_in])
        return rows

    def hessian(self, theta, gate):
        """The Hessian of f: J^T l'' J, and the curvature of h weighted with l', sample by sample."""
        weights, p, n = self.cut(theta), self.count, len(self.x)
        starts = [sum(a * b for a, b in self.shapes()[:k]) for k in range(len(weights))]
        first, second = arb_mat(p, p), [[arb(0)] * p for _ in range(p)]
        for i, x in enumerate(self.x):
            inputs, gates, out = self.forward(weights, x, lambda *at, i=i: gate(i, *at))
            j = arb_mat(self.jacobian(weights, inputs, gates))
            first += j.transpose() * arb_mat(self.curvature(out, self.y[i])) * j
            deltas, _ = self.backward(weights, gates, self.residual(out, self.y[i]))
            for low in range(len(weights) - 1):  # d^2 / dW_low dW_high: delta_high (x) path (x) a_low
                path = [[g if r == c else arb(0) for c, g in enumerate(gates[low])] for r in range(len(gates[low]))]
                for high in range(low + 1, len(weights)):
                    for r, d in enumerate(deltas[high]):
                        for s, along in enumerate(path):
                            row = second[starts[high] + r * len(path) + s]
                            for u, m in enumerate(along):
                                for q, a in enumerate(inputs[low]):
                                    row[starts[low] + u * len(inputs[low]) + q] += d * m * a
                    if high < len(weights) - 1:
                        product = (arb_mat(weights[high]) * arb_mat(path)).tolist()
                        path = [[g * v for v in row] for g, row in zip(gates[high], product)]
        both = (first + arb_mat(second) + arb_mat(second).transpose()) / n
        return both.tolist()

    # The loss of one sample

    def value(self, out, y):
        if self.loss == "square":
            return total((o - t) ** 2 for o, t in zip(out, y)) / 2
        if self.loss == "cross-entropy":
            return total(o.exp() for o in out).log() - total(o * t for o, t in zip(out, y))
        e = (-y[0] * out[0]).exp()
        return e if self.loss == "exponential" else e.log1p()

    def residual(self, out, y):
        """l', for balls and for series."""
        if self.loss == "square":
            return [o - t for o, t in zip(out, y)]
        if self.loss == "cross-entropy":
            return [p - t for p, t in zip(softmax(out), y)]
        if self.loss == "exponential":
            return [-y[0] * (-y[0] * out[0]).exp()]
        return [-y[0] / (1 + (y[0] * out[0]).exp())]

    def curvature(self, out, y):
        """l''."""
        if self.loss == "square":
            return [[arb(r == c) for c in range(len(out))] for r in range(len(out))]
        if self.loss == "cross-entropy":
            p = softmax(out)
            return [[u * ((1 if r == c else 0) - v) for c, v in enumerate(p)] for r, u in enumerate(p)]
        if self.loss == "exponential":
            return [[(-y[0] * out[0]).exp()]]
        q = 1 / (1 + (y[0] * out[0]).exp())
        return [[q * (1 - q)]]

    def mean_loss(self, theta, gate):
        weights = self.cut(theta)
        outputs = [self.forward(weights, x, lambda *at, i=i: gate(i, *at))[2] for i, x in enumerate(self.x)]
        return total(self.value(out, y) for out, y in zip(outputs, self.y)) / len(self.x)


def softmax(out):
    return [1 / (1 + sum((o - p).exp() for c, o in enumerate(out) if c != r)) for r, p in enumerate(out)]


# Matrices -------------------------------------------------------------------------------------------------------------


def prove_eigenvalues(matrix, bound, what):
    """Proves lambda_min >= bound for every symmetric matrix in a matrix of balls.

    With any L, A - (bound + slack) I = L L^T + R and ||R||_F <= slack give lambda_min(A) >= bound. L comes from floats,
    which need not be accurate; R is computed in balls.
    """
    n = len(matrix)
    widths = norm(v.rad() for row in matrix for v in row)
    slack = 2 * widths + norm(v.mid() for row in matrix for v in row) * arb(2) ** -40 + arb(2) ** -900
    slack = slack.abs_upper()
    shift = bound + slack
    a = [[float((v - shift * (r == c)).mid()) for c, v in enumerate(row)] for r, row in enumerate(matrix)]
    lower = [[0.0] * n for _ in range(n)]
    for r in range(n):
        for c in range(r + 1):
            rest = a[r][c] - math.fsum(x * y for x, y in zip(lower[r][:c], lower[c][:c]))
            if r == c:
                require(rest > 0, f"{what}, pivot {r} of the matrix minus the bound", rest, ">", 0)
                lower[r][r] = math.sqrt(rest)
            else:
                lower[r][c] = rest / lower[c][c]
    factor = arb_mat(lower)
    rest = arb_mat(matrix) - shift * arb_mat([[arb(r == c) for c in range(n)] for r in range(n)])
    left = norm((rest - factor * factor.transpose()).entries())
    require(left <= slack, f"{what}, norm of the rest of the factorization", left, "<=", slack)


# Polynomials ----------------------------------------------------------------------------------------------------------


def on(p, derivative, low, high):
    """A ball that contains p(s) for low <= s <= high: the mean value theorem."""
    middle, half = (low + high) / 2, ((high - low) / 2).abs_upper()
    return p(middle) + derivative(hull(low, high)) * around(half)


def size(coefficients, s):
    """sum |c_k| s^k."""
    result = arb(0)
    for c in reversed(coefficients):
        result = result * s + c.abs_upper()
    return result.abs_upper()


def exceeds(p, derivative, low, high, margin):
    """Whether p(s) > margin for all low <= s <= high, by bisection."""
    todo, seen = [(low, high)], 0
    while todo:
        a, b = todo.pop()
        seen += 1
        if on(p, derivative, a, b) > margin:
            continue
        middle = (a + b) / 2
        if seen > 2000 or not p(middle) > margin:
            return False
        todo += [(a, middle), (middle, b)]
    return True


def lowest(p, low, high):
    """A lower bound of p(s), s in [low, high]; sharp for a p that is monotone, or leaves 0 upwards at low = 0."""
    slope = on(p.derivative(), p.derivative().derivative(), low, high)
    if slope >= 0 or slope <= 0:
        return p(low).lower().min(p(high).lower())
    found = on(p, p.derivative(), low, high).lower()
    c = p.coeffs()
    if low == 0 and len(c) > 2 and arb_poly(c[2:])(hull(low, high)) >= 0:
        slope = (c[1] * high).lower()
        found = found.max((c[0] + slope.min(arb(0))).lower())
    return found


# The flow -------------------------------------------------------------------------------------------------------------


class Step:
    """One polynomial p(s), 0 <= s <= length, t = start + s 2^unit, and what is known along it."""

    def __init__(self, table, start, net, rate, number):
        self.net, self.rate, self.name, self.start, self.cells = net, rate, f"step {number}", start, table["cells"]
        unit, exponent = int(table["unit"]), int(table["exponent"])
        self.length, self.unit = rational(table["length"]), Fraction(2) ** unit
        if not self.length >= 0 or len(table["coefficients"]) != net.count:
            raise ValueError(f"{self.name}: negative length, or not one polynomial a parameter")
        self.end = start + self.length * self.unit
        scale, self.pace = arb(2) ** exponent, arb(2) ** -unit
        self.theta = [arb_poly([arb(int(c)) * scale for c in row]) for row in table["coefficients"]]
        self.slopes = {}
        for slide in table.get("slopes", []):
            at = tuple(int(slide[key]) for key in ("sample", "layer", "unit"))
            self.slopes[at] = arb_poly([ball(rational(c)) for c in slide["coefficients"]])
        self.defect = ball(rational(table["defect"]))
        self.derivatives = [p.derivative() for p in self.theta]

    def at(self, time):
        s = ball((time - self.start) / self.unit)
        return [p(s) for p in self.theta]

    def find_defect(self):
        """Bounds sup ||p' + c g(p)|| over the step by the coefficients of its series, and the tail by Cauchy."""
        net, self.z, self.gates, s = self.net, {}, {}, ball(self.length)
        degree = max(1, *(p.degree() for p in self.theta))
        square, terms = net.loss == "square", 3 * degree + 8
        flint.ctx.cap = terms

        def gate(*at):
            *where, z = at
            where = tuple(where)
            self.z[where] = z = arb_poly([]) + z
            slope = self.slopes.get(where)
            if slope is None:
                middle = z(s / 2)
                slope = net.slopes[0 if middle > 0 else 1]
                idle = middle > 0 or middle < 0 or all(c.is_zero() for c in z.coeffs())
                require(idle, f"{self.name}, gate {where} at the middle", middle, "!=", 0)
            self.gates[where] = slope
            return slope

        def residual(out, y):
            series = [arb_series(list((arb_poly([]) + o).coeffs()), terms) for o in out]
            return [arb_poly(list(r.coeffs())) for r in net.residual(series, y)]

        field, _ = net.gradient(self.theta, gate, None if square else residual)
        parts = [d * self.pace + self.rate * (arb_poly([]) + g) for d, g in zip(self.derivatives, field)]
        parts = [list(p.coeffs()) if square else list(p.coeffs())[:terms] for p in parts]
        found = norm(size(p, s) for p in parts)
        if not square and self.length:
            found = (found + min((self.tail(s, terms, k) for k in (2, 4, 8)), key=float)).abs_upper()
        return found

    def tail(self, s, terms, ratio):
        """sum_{k >= terms} |r_k| s^k <= B ratio^-terms / (1 - 1/ratio), B = sup ||r|| on the disc |s| <= ratio s."""
        disc = s * ratio
        point = []
        for p in self.theta:
            first, *rest = p.coeffs() or [arb(0)]
            reach = around(size([arb(0), *rest], disc))
            point.append(acb(first + reach, reach))
        slopes = {
            at: around(size(q.coeffs() if isinstance(q, arb_poly) else [q], disc)) for at, q in self.gates.items()
        }
        field, _ = self.net.gradient(point, lambda *at: acb(slopes[at[:3]], slopes[at[:3]])
                                     if at[:3] in self.slopes else self.gates[at[:3]])  # fmt: skip
        speeds = (size(d.coeffs(), disc) * self.pace for d in self.derivatives)
        worst = norm(v + self.rate.abs_upper() * acb(g).abs_upper() for v, g in zip(speeds, field))
        return (worst * arb(ratio) ** -terms / (1 - arb(1) / ratio)).abs_upper() if worst.is_finite() else arb("inf")

    def box(self, low, high, radius):
        """All points of the tube around p on a cell, as a vector of balls."""
        return [on(p, d, low, high) + around(radius) for p, d in zip(self.theta, self.derivatives)]

    def tube_gates(self, kind, box, low, high, radius, name):
        """The gates on the tube; and of those whose pre-activation may vanish there L and o, see below.

        At distance u <= radius from p, |z(theta) - z(p)| <= L u + o: layer by layer |sum W_s (a_s - a_s(p))| + u ||a||.
        """
        net, weights, found, doubtful = self.net, self.net.cut(box), {}, {}
        for i, x in enumerate(net.x):
            a_in, moved, off = x, [arb(0)] * len(x), [arb(0)] * len(x)
            for layer, w in enumerate(weights[:-1] if not net.linear else []):
                out, reach, at_layer = [], norm(a_in), []
                for r, row in enumerate(w):
                    at, sizes = (i, layer, r), [v.abs_upper() for v in row]
                    z = sum(v * a for v, a in zip(row, a_in))
                    lip, rest = total(map(mul, sizes, moved)) + reach, total(map(mul, sizes, off))
                    slope = self.slope_of(at, z, low, high, (lip * radius + rest).abs_upper())
                    if slope is None:
                        require(kind != "smooth", f"{name}, pre-activation {at} on the tube", z.abs_lower(), ">", 0)
                        slope, doubtful[at] = net.either, (lip, rest)
                        rest += 2 * self.astray(at, low, high)
                    found[at] = slope
                    out.append(slope * z)
                    at_layer.append((net.steepest * lip, net.steepest * rest))
                a_in, moved, off = out, *map(list, zip(*at_layer))
        return found, doubtful

    def side(self, at):
        """1 or -1: the side on which p has a gate in this step."""
        return 1 if self.z[at](ball(self.length) / 2) > 0 else -1

    def astray(self, at, low, high):
        """How far z(p) is from where the gate taken for p is right: its size for a gate that slides."""
        z = self.z[at]
        if at in self.slopes:
            return 2 * on(z, z.derivative(), low, high).abs_upper().min(size(z.coeffs(), high))
        return (-lowest(z * self.side(at), low, high)).max(arb(0)).abs_upper()

    def slope_of(self, at, z, low, high, spread):
        """The slope of a gate that is certain on the tube (0 where z is exactly 0: it does not matter), else None."""
        if z > 0 or z < 0 or z == 0:
            return self.net.slopes[0] if z > 0 else self.net.slopes[1] if z < 0 else arb(0)
        p = self.z[at] * self.side(at)
        certain = at not in self.slopes and exceeds(p, p.derivative(), low, high, spread)
        return self.gates[at] if certain else None

    def gap(self, coefficients, doubtful, low, high, name):
        """c sum b (s(z) - q z) along p, for the gates that may change on a convex cell."""
        net, result = self.net, arb(0)
        upper, lower = net.slopes
        for at in doubtful:
            b, q = coefficients[at[0]][at[1]][at[2]], self.slopes.get(at, arb_poly([]))
            require(upper > lower, f"{name}, slopes of a convex gate", upper, ">", lower)
            require(b > 0, f"{name}, back-propagated coefficient of gate {at}", b, ">", 0)
            inside = exceeds(q, q.derivative(), low, high, lower) and exceeds(-q, -q.derivative(), low, high, -upper)
            require(inside or at not in self.slopes, f"{name}, slope of gate {at}", q(hull(low, high)), "in", net.either)
            result += b.abs_upper() * (upper - lower) * self.astray(at, low, high)
        return (self.rate * result).abs_upper()

    def crossing(self, box, field, gates, doubtful, low, high, name):
        """What the gates of a crossing cell add to the error and multiply it by."""
        net, weights, added, factor = self.net, self.net.cut(box), arb(0), arb(1)
        held = [at for at in doubtful if at in self.slopes]
        require(not held, f"{name}, gates of a crossing cell that slide", len(held), "==", 0)
        other, _ = net.gradient(box, lambda *at: self.gates[at[:3]] if at[:3] in doubtful else gates[at[:3]])
        jump = self.rate * norm(u - v for u, v in zip(field, other))
        for at, (lip, off) in doubtful.items():
            i, layer, unit = at
            z, side = self.z[at] * self.side(at), self.side(at)
            inputs, slopes, _ = net.forward(weights, net.x[i], lambda *at, i=i: gates[(i, *at[:2])])
            top = [arb(r == unit) for r in range(net.widths[layer + 1])]
            deltas, _ = net.backward(weights[: layer + 1], slopes, top)
            normal = [d * a for delta, a_in in zip(deltas, inputs) for d in delta for a in a_in]
            speed = -side * self.rate * total(map(mul, normal, field))
            require(speed > 0 or speed < 0, f"{name}, speed of pre-activation {at}", speed.abs_lower(), ">", 0)
            slowest, end = speed.abs_lower(), low
            if speed < 0:
                slowest, end = slowest.min(-on(z.derivative(), z.derivative().derivative(), low, high) * self.pace), high
            require(slowest > 0, f"{name}, speed of pre-activation {at} along the polynomial", slowest, ">", 0)
            added += jump * (off + (-z(end)).max(arb(0))) / slowest
            factor *= 1 + jump * lip / slowest
        return added, factor

    def error_after(self, kind, low, high, radius, rate, error, name):
        """The error at the end of a cell, from the error at its beginning (the jump included)."""
        require(error < radius, f"{name}, error at its beginning", error, "<", radius)
        time, low, high = ball((high - low) * self.unit), ball(low), ball(high)
        box = self.box(low, high, radius)
        gates, doubtful = self.tube_gates(kind, box, low, high, radius, name)
        field, coefficients = self.net.gradient(box, lambda *at: gates[at[:3]])
        if kind == "kink":
            speeds = [on(d, d.derivative(), low, high) * self.pace for d in self.derivatives]
            return (error + time * norm(v + self.rate * g for v, g in zip(speeds, field))).abs_upper()
        hessian = self.net.hessian(box, lambda *at: gates[at[:3]])
        prove_eigenvalues([[self.rate * v for v in row] for row in hessian], -rate, f"{name}, rate")
        delta, factor = self.defect, arb(1)
        if doubtful and kind == "convex":
            root = self.gap(coefficients, doubtful, low, high, name).sqrt().abs_upper()
            delta, error = delta + root, error.max(root)
        elif doubtful:
            added, factor = self.crossing(box, field, gates, doubtful, low, high, name)
            error += added
        if doubtful:
            rate = rate.max(arb(0))
        grows = (rate * time).expm1()
        return (factor * ((grows + 1) * error + delta * (time if rate.is_zero() else grows / rate))).abs_upper()

    def check_cells(self, error):
        """Every cell of the step; yields its end in time, the largest error in it, and the step."""
        low = Fraction(0)
        for number, cell in enumerate(self.cells):
            name, kind = f"{self.name}, cell {number}", cell["kind"]
            high, radius, claimed, rate = (rational(cell[key]) for key in ("end", "radius", "error", "rate"))
            require(kind in ("smooth", "kink", "convex", "crossing") and low <= high, f"{name} ({kind}), its end", low, "<=", high)
            found = self.error_after(kind, low, high, ball(radius), ball(rate), error, name)
            require(found <= ball(claimed), f"{name}, error at its end", found, "<=", ball(claimed))
            require(claimed < radius, f"{name}, error at its end", ball(claimed), "<", ball(radius))
            low, largest, error = high, error.max(ball(claimed)), ball(claimed)
            yield self.start + high * self.unit, largest, self
        require(low == self.length, f"{self.name}, the end of its cells", low, "==", self.length)


class Flow:
    """Polynomials near the flow, and how near: `cells` holds (end, largest error, step) in order of time."""

    def __init__(self, tables, net, rate):
        time, self.steps, self.cells = Fraction(0), [], []
        for number, table in enumerate(tables):
            self.steps.append(Step(table, time, net, rate, number))
            time = self.steps[-1].end
        self.end, error, before = time, arb(0), [ball(v) for v in net.theta0]
        for step in self.steps:
            found = step.find_defect()
            require(found <= step.defect, f"{step.name}, defect", found, "<=", step.defect)
            error = (error + norm(a - b for a, b in zip(step.at(step.start), before))).abs_upper()
            self.cells += step.check_cells(error)
            error, before = ball(rational(step.cells[-1]["error"])), step.at(step.end)

    def at(self, time):
        """p(t) and a bound of the flow's distance from it."""
        require(0 <= time <= self.end, "the flow is enclosed to", self.end, ">=", time)
        _, error, step = self.cells[bisect_left(self.cells, time, key=lambda cell: cell[0])]
        return step.at(time), error

    def box(self, time):
        point, error = self.at(time)
        return [v + around(error) for v in point]


# Descent --------------------------------------------------------------------------------------------------------------


def certain(net, name):
    """A gate that must be known: alpha for z >= 0 and alpha_bar below."""

    def gate(sample, layer, unit, z):
        known = z >= 0 or z < 0
        require(known, f"{name}, pre-activation {(sample, layer, unit)}", z.abs_lower(), ">", 0)
        return net.slopes[0 if z >= 0 else 1]

    return gate


def either(net):
    """A gate of which anything may be true."""
    return lambda sample, layer, unit, z: net.slopes[0] if z >= 0 else net.slopes[1] if z < 0 else net.either


def descend(net, step_size, momentum, steps):
    """theta_0, ..., theta_steps in balls."""
    eta, beta = ball(step_size), ball(momentum)
    theta, velocity = [ball(v) for v in net.theta0], [arb(0)] * net.count
    yield theta
    for k in range(steps):
        slope, _ = net.gradient(theta, certain(net, f"descent, step {k}"))
        velocity = [beta * v - eta * g for v, g in zip(velocity, slope)]
        theta = [a + v for a, v in zip(theta, velocity)]
        yield theta


# For all time ---------------------------------------------------------------------------------------------------------


def attraction(net, point, table, step_size=None):
    """A bound of the length of the path from any point of a box on, and of the loss along it.

    On the ball of radius r around the point no gate changes and ||g||^2 >= 2 mu (f - f*). While the flow is in it, its
    path is at most L = sqrt(2 (f - f*)/mu) long; if L < r it stays, converges, and f decreases. Descent with eta <=
    1/beta, beta >= ||H|| on the ball, the same with 2 L/(2 - eta beta). mu comes from

    - interpolation (square loss): f* = 0, mu = lambda_min(J J^T)/N, J the Jacobian of all outputs;
    - linear (square loss): f* the least squares value, mu = lambda_min(X X^T/N) lambda_min(K K^T), K the Jacobian of
      the end-to-end matrix;
    - convex: mu = lambda_min(H); then f - f* <= ||g||^2/(2 mu), so that L = ||g||/mu.
    """
    r, kind = ball(rational(table["radius"])), table["kind"]
    box, n = [v + around(r) for v in point], len(net.x)
    gate = certain(net, "attraction")
    bound = ball(rational(table["bound"]))
    require(bound > 0, "attraction, lower bound of the eigenvalues", bound, ">", 0)
    if kind == "convex":
        prove_eigenvalues(net.hessian(box, gate), bound, "attraction, Hessian")
        reach = norm(net.gradient(point, gate)[0]) / bound
    elif net.loss == "square" and (kind == "interpolation" or (kind == "linear" and net.linear)):
        weights, d = net.cut(box), net.widths[0]
        inputs = net.x if kind == "interpolation" else [[arb(r == c) for c in range(d)] for r in range(d)]
        passes = [net.forward(weights, x, lambda *at, i=i: gate(i, *at))[:2] for i, x in enumerate(inputs)]
        j = arb_mat([row for a, gates in passes for row in net.jacobian(weights, a, gates)])
        prove_eigenvalues((j * j.transpose()).tolist(), bound, "attraction, Gram matrix of the Jacobian")
        least, mu = arb(0), bound / n
        if kind == "linear":
            least, covariance = least_squares(net)
            smallest = ball(rational(table["covariance"]))
            require(smallest > 0, "attraction, lower bound of the covariance", smallest, ">", 0)
            prove_eigenvalues(covariance, smallest, "attraction, covariance of the inputs")
            mu = bound * smallest
        reach = (2 * (net.mean_loss(point, gate) - least).abs_upper() / mu).sqrt()
    else:
        raise Rejected(f"attraction: {kind} does not apply to this network and loss")
    if step_size is not None:
        beta, eta = ball(rational(table["smoothness"])), ball(step_size)
        negated = [[-v for v in row] for row in net.hessian(box, gate)]
        prove_eigenvalues(negated, -beta, "attraction, largest eigenvalue of the Hessian")
        if kind != "convex":
            prove_eigenvalues([[-v for v in row] for row in negated], -beta, "attraction, least eigenvalue")
        require(eta * beta <= 1, "attraction, step size times smoothness", eta * beta, "<=", arb(1))
        reach = 2 * reach / (2 - eta * beta)
    reach = reach.abs_upper()
    require(reach < r, "attraction, length of the rest of the path", reach, "<", r)
    return reach


def least_squares(net):
    """The least value of the square loss over all matrices, exactly, and X X^T/N."""
    x, y = (fmpq_mat([[fmpq(v.numerator, v.denominator) for v in row] for row in data])
            for data in (net.exact_x, net.exact_y))  # fmt: skip
    n, covariance, moment = len(net.x), x.transpose() * x, x.transpose() * y
    require(covariance.det() != 0, "attraction, determinant of the covariance", 0, "!=", 0)
    rest = y.transpose() * y - moment.transpose() * covariance.inv() * moment
    least = sum((rest[i, i] for i in range(rest.nrows())), fmpq(0)) / (2 * n)
    rows = range(covariance.nrows())
    return arb(least), [[arb(covariance[a, b] / n) for b in rows] for a in rows]


# The statement --------------------------------------------------------------------------------------------------------


class Theorem:
    """A certificate's parts: network, flow, descent, and the claims that make up its statement."""

    def __init__(self, data):
        self.net, self.claims, descent = Network(data["problem"]), data["claims"], data.get("descent")
        self.flow_bits, self.descent_bits, self.steps = int(data["precision"]), 0, 0
        self.tables, self.eta, self.momentum = data.get("flow", []), None, Fraction(0)
        if descent is not None:
            self.eta, self.momentum = rational(descent["step_size"]), rational(descent["momentum"])
            self.steps, self.descent_bits = int(descent["steps"]), int(descent["precision"])
        if not (0 <= self.momentum < 1 and (self.eta is None or self.eta > 0) and self.claims):
            raise ValueError("step_size must be positive, momentum in [0, 1), and there must be claims")
        self.limits = [int(v) for v in (self.flow_bits, self.descent_bits)]

    def prove(self):
        """Proves every claim; yields what was proved, in words."""
        flint.ctx.prec = max(64, self.descent_bits)
        self.iterates = list(descend(self.net, self.eta, self.momentum, self.steps)) if self.eta else []
        flint.ctx.prec = max(64, self.flow_bits)
        if self.tables:
            self.flow = Flow(self.tables, self.net, 1 / (1 - ball(self.momentum)))
            worst = max((error for _, error, _ in self.flow.cells), key=float)
            yield f"gradient flow to t = {float(self.flow.end):.6g}: within {shown(worst)} of the polynomials of the file"
        if self.iterates:
            yield f"descent: {self.steps} steps of size {self.eta} with momentum {self.momentum}, in balls"
        for claim in self.claims:
            prove = {"distance": self.distance, "descent-loss": self.descent_loss, "flow-loss": self.flow_loss,
                     "limit": self.limit}[claim["kind"]]  # fmt: skip
            yield prove(claim, bool(claim["holds"]))

    def distance(self, claim, holds):
        d, steps = rational(claim["distance"]), int(claim["steps"])
        for k in range(steps + 1) if holds else [int(claim["step"])]:
            require(k <= min(steps, self.steps), "step of the distance", k, "<=", min(steps, self.steps))
            point, error = self.flow.at(k * self.eta)
            apart, what = [a - b for a, b in zip(self.iterates[k], point)], f"distance of descent and flow at step {k}"
            if holds:
                require(norm(apart) + error <= ball(d), what, norm(apart) + error, "<=", ball(d))
            else:
                least = total(v.abs_lower() ** 2 for v in apart).sqrt() - error
                require(least > ball(d), what, least, ">", ball(d))
        if holds:
            return f"||theta_k - theta(k eta)|| <= {d} for all k <= {steps}"
        return f"||theta_k - theta(k eta)|| > {d} at k = {claim['step']}"

    def descent_loss(self, claim, holds):
        level, steps = rational(claim["loss"]), int(claim["steps"])
        for k in [int(claim["step"])] if holds else range(steps + 1):
            require(k <= min(steps, self.steps), "step of the loss", k, "<=", min(steps, self.steps))
            found = self.net.mean_loss(self.iterates[k], either(self.net))
            if holds:
                require(found <= ball(level), f"loss of descent at step {k}", found.upper(), "<=", ball(level))
            else:
                require(found > ball(level), f"loss of descent at step {k}", found.lower(), ">", ball(level))
        if not holds:
            return f"f(theta_k) > {level} for all k <= {steps}"
        if not claim["stays_below"]:
            return f"f(theta_k) <= {level} at k = {k}"
        require(self.momentum == 0, "attraction, momentum", self.momentum, "==", 0)
        attraction(self.net, self.iterates[k], claim["attraction"], self.eta)
        return f"f(theta_k) <= {level} for all k >= {k}, and theta_k converges"

    def flow_loss(self, claim, holds):
        level, time, at = (rational(claim[key]) for key in ("loss", "time", "at"))
        require(at <= time if holds else at >= time, "time of the loss", at, "<=" if holds else ">=", time)
        found = self.net.mean_loss(self.flow.box(at), either(self.net))
        if holds:
            require(found <= ball(level), f"loss of the flow at {at}", found.upper(), "<=", ball(level))
            return f"f(theta(t)) <= {level} for all t >= {time}"
        require(found > ball(level), f"loss of the flow at {at}", found.lower(), ">", ball(level))
        return f"f(theta(t)) > {level} for all t <= {time}"

    def limit(self, claim, holds):
        target, r = [ball(rational(v)) for v in claim["point"]], rational(claim["radius"])
        point, error = self.flow.at(self.flow.end)
        rest = error + attraction(self.net, self.flow.box(self.flow.end), claim["attraction"])
        apart = [a - b for a, b in zip(point, target, strict=True)]
        if holds:
            require(norm(apart) + rest <= ball(r), "distance of the limit", norm(apart) + rest, "<=", ball(r))
            return f"theta(t) converges to a point within {r} of the given one"
        least = total(v.abs_lower() ** 2 for v in apart).sqrt() - rest
        require(least > ball(r), "distance of the limit", least, ">", ball(r))
        return f"theta(t) converges to a point further than {r} from the given one"


def main(arguments):
    if len(arguments) != 1:
        print("usage: python certificate_check.py theorem.json", file=sys.stderr)
        return 2
    sys.set_int_max_str_digits(0)
    try:
        with open(arguments[0], encoding="utf-8") as file:
            data = json.load(file)
        if data["format"] != FORMAT:
            raise ValueError(f"format must be {FORMAT}, got {data['format']!r}")
        for line in Theorem(data).prove():
            print("verified:", line, flush=True)
    except Rejected as wrong:
        print("rejected:", wrong)
        return 1
    except (OSError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError) as wrong:
        print(f"unreadable: {arguments[0]}: {type(wrong).__name__}: {wrong}", file=sys.stderr)
        return 2
    print("The statement is proved.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
