#!/usr/bin/env python3
# Long: it stands alone; 400 lines of code.
r"""Checks a certificate: a theorem on gradient descent and gradient flow of one network, proved by computation.

    python certificate_check.py theorem.json

prints what was verified. Exit status 0: the statement is proved. 1: rejected; one line says which inequality fails,
with both of its sides. 2: the file cannot be read as a certificate. This program needs python-flint and nothing else.

The problem. h(x) = W_n s(W_{n-1} ... s(W_1 x)), s(z) = alpha z for z >= 0 and alpha_bar z for z < 0. f(theta) is the
mean over the samples of l(h(x_i), y_i). The flow is theta' in -c df(theta), df Clarke's subdifferential (the gradient
wherever there is one), from theta0; c is 1 for gradient descent and 1/(1 - beta) for heavy ball. Descent is theta_{k+1}
= theta_k + v_{k+1}, v_{k+1} = beta v_k - eta g(theta_k), v_0 = 0, where g takes the slope alpha at z = 0.

The proof. All numbers are balls (arb: a midpoint and a radius that holds every rounding error), so an inequality that
is found true is true. The file gives, step by step, a polynomial p(s) near the flow, with its gates: on which side each
pre-activation z is in the middle of the step, or the slope q(s) of a gate that slides along z = 0. The program bounds
the defect delta >= ||p' + c g(p)|| itself, g with these gates, and cuts each step into cells; a cell has a tube (all
points within `radius` of p), a rate m and an error e at its end. u = ||theta - p|| is at most e at its beginning (the
jump of p at a joint included). On the tube of a cell it proves, depending on the cell's kind:

- smooth: every gate is that of p, no pre-activation vanishes, and -lambda_min(c H) <= m. Then (the fundamental theorem,
  Hairer, Norsett and Wanner, Solving ODEs I, Theorem 10.6) u(t) <= e^{mt} e + delta (e^{mt} - 1)/m.
- kink: nothing but what the gates can be. The flow's velocity lies in the gradient with every gate that may change
  replaced by the interval of its slopes, so that u(t) <= e + t sup ||p' + c g||.
- convex: every gate whose pre-activation may vanish has alpha > alpha_bar and a positive back-propagated coefficient b,
  for all values of these gates. Then f is there the largest of its smooth pieces, each of which has -lambda_min(c H) <=
  m, so that c f + (m/2)||theta||^2 is convex. Replacing s(z) by q z, q in [alpha_bar, alpha], lowers f, at p by at most
  gap/c = sum b (s(z) - q z), so <theta' - p', theta - p> <= m u^2 + delta u + gap; and gap/u <= sqrt(gap) where u >=
  sqrt(gap). Hence u(t) <= e^{Mt} max(e, sqrt(gap)) + (delta + sqrt(gap)) (e^{Mt} - 1)/M with M = max(m, 0).
- crossing: every z that may vanish moves strictly in one direction, |z'| >= v, whatever these gates are; if towards
  zero, z(p) does so too. So its gate differs from that of p for one time only, either from the cell's beginning on (z
  leaves zero) or up to its end (z arrives), and |z(theta) - z(p)| <= L u + o makes that time at most (L u + o + a)/v, u
  taken where it begins, a what z(p) lacks of zero there. In that time the gradients differ by at most J more. Taking
  the gates in the order in which they begin to differ, u <= (e^{Mt} (e + sum J (o + a)/v) + delta (e^{Mt} - 1)/M) prod
  (1 + J L/v), with m valid for all values of the gates.

In each case u < radius on the whole cell, so the flow never leaves the tube. Descent is computed in balls from theta0.
For all time (Polyak, Lojasiewicz): see `attraction`. What is proved of f(theta(t)) holds for later t too: f does not
increase along a flow.
"""

import json
import math
import sys
from bisect import bisect_left
from fractions import Fraction
from operator import mul

import flint
from flint import acb, arb, arb_mat, arb_poly, arb_series, fmpq, fmpq_mat


class Rejected(Exception):
    """An inequality that was not proved."""


def require(holds, what, left, relation, right):
    """Rejects unless an inequality holds for certain; both sides are shown."""
    if not holds:
        left, right = (v.str(8, radius=False) if isinstance(v, arb) else v for v in (left, right))
        raise Rejected(f"{what}: {left} {relation} {right} is not proved")


# Numbers and vectors of balls -----------------------------------------------------------------------------------------


def rational(value):
    """A number of the file, exactly: text such as "3/10", or [m, e] for m 2^e."""
    return Fraction(value) if isinstance(value, str) else Fraction(int(value[0])) * Fraction(2) ** int(value[1])


def ball(q):
    """An exact rational as a ball."""
    return arb(fmpq(q.numerator, q.denominator))


def around(radius):
    """The ball [-radius, radius]."""
    return arb(0, radius.abs_upper())


def hull(low, high):
    """A ball that contains [low, high]."""
    return (low + high) / 2 + around((high - low) / 2)


def dot(u, v):
    return sum((a * b for a, b in zip(u, v, strict=True)), arb(0))


def norm(values):
    """A ball that contains the Euclidean norm of a vector."""
    values = list(values)
    return hull(*(sum((bound(v) ** 2 for v in values), arb(0)).sqrt() for bound in (arb.abs_lower, arb.abs_upper)))


def identity(n):
    return [[arb(r == c) for c in range(n)] for r in range(n)]


def prove_eigenvalues(matrix, bound, what):
    """Proves lambda_min >= bound for every symmetric matrix in a matrix of balls.

    With any L, A - (bound + slack) I = L L^T + R and ||R||_F <= slack give lambda_min(A) >= bound. L comes from floats,
    which need not be accurate; R is computed in balls.
    """
    n, a = len(matrix), arb_mat(matrix)
    slack = (2 * norm(v.rad() for v in a.entries()) + norm(a.mid().entries()) * arb(2) ** -40).abs_upper()
    a -= (bound + slack) * arb_mat(identity(n))
    lower = [[0.0] * n for _ in range(n)]
    for r in range(n):
        for c in range(r + 1):
            rest = float(a[r, c].mid()) - math.fsum(map(mul, lower[r][:c], lower[c][:c]))
            lower[r][c] = math.sqrt(max(rest, 0.0)) if r == c else rest / (lower[c][c] or math.inf)
    factor = arb_mat(lower)
    left = norm((a - factor * factor.transpose()).entries())
    require(left <= slack, f"{what} {bound.str(8, radius=False)}, rest of the factorization", left, "<=", slack)


# The network: these functions work for balls (real and complex) and for polynomials alike -----------------------------


def softmax(out):
    return [1 / (1 + sum((o - p).exp() for c, o in enumerate(out) if c != r)) for r, p in enumerate(out)]


def softmax_curvature(out, y):
    p, mass = softmax(out), sum(y)
    return [[mass * u * ((r == c) - v) for c, v in enumerate(p)] for r, u in enumerate(p)]


def logistic_slope(out, y):
    return 1 / (1 + (y[0] * out[0]).exp())


LOSSES = {  # l, its gradient, and its Hessian in the prediction
    "square": (
        lambda out, y: sum((o - t) ** 2 for o, t in zip(out, y)) / 2,
        lambda out, y: [o - t for o, t in zip(out, y)],
        lambda out, y: identity(len(y)),
    ),
    "logistic": (
        lambda out, y: (-y[0] * out[0]).exp().log1p(),
        lambda out, y: [-y[0] * logistic_slope(out, y)],
        lambda out, y: [[y[0] ** 2 * logistic_slope(out, y) * (1 - logistic_slope(out, y))]],
    ),
    "exponential": (
        lambda out, y: (-y[0] * out[0]).exp(),
        lambda out, y: [-y[0] * (-y[0] * out[0]).exp()],
        lambda out, y: [[y[0] ** 2 * (-y[0] * out[0]).exp()]],
    ),
    "cross-entropy": (
        lambda out, y: sum(o.exp() for o in out).log() * sum(y) - dot(out, y),
        lambda out, y: [p * sum(y) - t for p, t in zip(softmax(out), y)],
        softmax_curvature,
    ),
}


class Network:
    """Architecture, data and loss; layers, samples and units are counted from 0."""

    def __init__(self, table):
        self.widths = [int(d) for d in table["widths"]]
        self.alpha, self.alpha_bar = (rational(table[key]) for key in ("alpha", "alpha_bar"))
        self.slopes = ball(self.alpha), ball(self.alpha_bar)
        self.either, self.steepest = hull(*self.slopes), abs(self.slopes[0]).max(abs(self.slopes[1]))
        self.loss, (self.value, self.residual, self.curvature) = table["loss"], LOSSES[table["loss"]]
        self.exact = [[[rational(v) for v in row] for row in table[key]] for key in ("x", "y")]
        self.x, self.y = ([[ball(v) for v in row] for row in data] for data in self.exact)
        self.theta0 = [ball(rational(v)) for v in table["theta0"]]
        self.shapes = list(zip(self.widths[1:], self.widths))
        self.starts = [sum(a * b for a, b in self.shapes[:k]) for k in range(len(self.widths))]
        self.linear, self.count = self.alpha == self.alpha_bar, len(self.theta0)
        rows = {(len(x), len(y)) for x, y in zip(self.x, self.y, strict=True)}
        if rows != {(self.widths[0], self.widths[-1])} or self.count != self.starts[-1] or min(self.widths) < 1:
            raise ValueError("the problem's widths, data and theta0 do not fit")

    def cut(self, theta):
        """theta as weight matrices, row by row."""
        places = zip(self.starts, self.shapes)
        return [[theta[at + r * b : at + r * b + b] for r in range(a)] for at, (a, b) in places]

    def signs(self, name=None):
        """A gate by the sign of z (alpha for z = 0): any that z allows, or, with a name, only one that is certain."""

        def gate(*at):
            z, (up, down) = at[-1], self.slopes
            require(not name or z >= 0 or z < 0, f"{name}, pre-activation {at[:3]}", z.abs_lower(), ">", 0)
            return up if z >= 0 else down if z < 0 else self.either

        return gate

    def forward(self, weights, x, gate):
        """Inputs a of every layer, gates of every hidden one, and the output; gate(layer, unit, z) is a slope."""
        inputs, gates = [x], []
        for layer, w in enumerate(weights):
            z = [dot(row, inputs[-1]) for row in w]
            if layer == len(self.shapes) - 1:
                return inputs, gates, z
            gates.append([self.slopes[0] if self.linear else gate(layer, r, v) for r, v in enumerate(z)])
            inputs.append([g * v for g, v in zip(gates[-1], z)])

    def backward(self, weights, inputs, gates, top):
        """The gradient in theta of <top, output>, and the b and delta of every layer (delta = gate b)."""
        b, deltas = [top], [top]
        for w, g in zip(weights[:0:-1], gates[len(weights) - 2 :: -1]):
            b.insert(0, [dot(deltas[0], column) for column in zip(*w)])
            deltas.insert(0, list(map(mul, g, b[0])))
        return [d * a for delta, a_in in zip(deltas, inputs) for d in delta for a in a_in], b, deltas

    def passes(self, theta, gate, inputs=None):
        """Weights, inputs, gates and output for every sample, for gate(sample, layer, unit, z)."""
        w, inputs = self.cut(theta), inputs or self.x
        return [(w, *self.forward(w, x, lambda *at, i=i: gate(i, *at))) for i, x in enumerate(inputs)]

    def mean_loss(self, theta, gate):
        return sum(self.value(out, y) for (*_, out), y in zip(self.passes(theta, gate), self.y)) / len(self.x)

    def gradient(self, theta, gate, residual=None):
        """grad f, and the b of every sample."""
        share, result, samples = arb(1) / len(self.x), [arb(0)] * self.count, []
        for (*sample, out), y in zip(self.passes(theta, gate), self.y):
            gradient, b, _ = self.backward(*sample, [share * v for v in (residual or self.residual)(out, y)])
            result = [u + v for u, v in zip(result, gradient, strict=True)]
            samples.append(b)
        return result, samples

    def jacobian(self, *sample):
        """The rows d h_o / d theta at one sample."""
        return [self.backward(*sample, top)[0] for top in identity(self.widths[-1])]

    def hessian(self, theta, gate):
        """The Hessian of f: J^T l'' J, and the curvature of h weighted with l', sample by sample."""
        first, second = arb_mat(self.count, self.count), [[arb(0)] * self.count for _ in range(self.count)]
        for (weights, inputs, gates, out), y in zip(self.passes(theta, gate), self.y):
            j = arb_mat(self.jacobian(weights, inputs, gates))
            first += j.transpose() * arb_mat(self.curvature(out, y)) * j
            *_, deltas = self.backward(weights, inputs, gates, self.residual(out, y))
            for low in range(len(gates)):  # d^2 / dW_low dW_high: delta_high (x) path (x) a_low
                path = [[g * one for one in row] for g, row in zip(gates[low], identity(len(gates[low])))]
                for high in range(low + 1, len(weights)):
                    ends = [[m * a for m in row for a in inputs[low]] for row in path]
                    for r, (d, end) in enumerate((d, end) for d in deltas[high] for end in ends):
                        row = second[self.starts[high] + r]
                        for c, v in enumerate(end, self.starts[low]):
                            row[c] += d * v
                    if high < len(gates):
                        product = (arb_mat(weights[high]) * arb_mat(path)).tolist()
                        path = [[u * v for v in row] for u, row in zip(gates[high], product)]
        second = arb_mat(second)
        return ((first + second + second.transpose()) / len(self.x)).tolist()


# Polynomials ----------------------------------------------------------------------------------------------------------


def on(p, low, high):
    """A ball that contains p(s) for low <= s <= high: the mean value theorem."""
    return p((low + high) / 2) + p.derivative()(hull(low, high)) * around((high - low) / 2)


def size(coefficients, s):
    """An upper bound of sum |c_k| s^k."""
    return arb_poly([c.abs_upper() for c in coefficients])(s).abs_upper()


def exceeds(p, low, high, margin):
    """Whether p(s) > margin for all low <= s <= high, by bisection."""
    todo, seen = [(low, high)], 0
    while todo:
        a, b = todo.pop()
        middle, seen = (a + b) / 2, seen + 1
        if not on(p, a, b) > margin:
            if seen > 2000 or not p(a).min(p(middle)).min(p(b)) > margin:
                return False
            todo += [(a, middle), (middle, b)]
    return True


def lowest(p, low, high):
    """A lower bound of p(s), s in [low, high]; sharp for a p that is monotone, or leaves 0 upwards at low = 0."""
    slope, c = on(p.derivative(), low, high), p.coeffs()
    if slope >= 0 or slope <= 0:
        return p(low).min(p(high)).lower()
    if low == 0 and len(c) > 2 and arb_poly(c[2:])(hull(low, high)) >= 0:
        return (c[0] + (c[1] * high).min(arb(0))).lower()
    return on(p, low, high).lower()


# The flow -------------------------------------------------------------------------------------------------------------


class Step:
    """One polynomial p(s), 0 <= s <= length, t = start + s 2^unit, and what is known along it."""

    def __init__(self, table, start, net, rate, name):
        self.net, self.rate, self.name, self.start, self.cells = net, rate, name, start, table["cells"]
        self.length, unit = rational(table["length"]), table["unit"]
        self.unit, self.pace = Fraction(2) ** unit, arb(2) ** -unit
        self.end, self.middle = start + self.length * self.unit, ball(self.length) / 2
        scale = arb(2) ** table["exponent"]
        self.theta = [arb_poly([arb(int(c)) * scale for c in row]) for row in table["coefficients"]]
        self.slopes = {tuple(g["gate"]): arb_poly([ball(rational(c)) for c in g["slope"]]) for g in table["slopes"]}
        self.defect, self.z, self.gates = ball(rational(table["defect"])), {}, {}

    def at(self, time):
        s = ball((time - self.start) / self.unit)
        return [p(s) for p in self.theta]

    def find_defect(self):
        """Bounds sup ||p' + c g(p)|| over the step by the coefficients of its series, and the tail by Cauchy."""
        net, s, none = self.net, ball(self.length), arb_poly([])
        exact, terms = net.loss == "square", 3 * max(8, *(p.degree() for p in self.theta))
        flint.ctx.cap = terms

        def gate(*at):
            self.z[at[:3]] = z = none + at[3]
            middle = z(self.middle)
            known = at[:3] in self.slopes or middle > 0 or middle < 0 or all(c == 0 for c in z.coeffs())
            require(known, f"{self.name}, pre-activation {at[:3]} at its middle", middle, "!=", 0)
            self.gates[at[:3]] = self.slopes.get(at[:3], net.slopes[0 if middle > 0 else 1])
            return self.gates[at[:3]]

        def series(out, y):
            found = net.residual([arb_series(list((none + o).coeffs()), terms) for o in out], y)
            return [arb_poly(list(r.coeffs())) for r in found]

        field, _ = net.gradient(self.theta, gate, None if exact else series)
        parts = [p.derivative() * self.pace + self.rate * (none + g) for p, g in zip(self.theta, field, strict=True)]
        found = norm(size(p.coeffs() if exact else p.coeffs()[:terms], s) for p in parts)
        return (found if exact else found + min((self.tail(s, terms, k) for k in (2, 4, 8)), key=float)).abs_upper()

    def tail(self, s, terms, ratio):
        """sum_{k >= terms} |r_k| s^k <= B ratio^-terms / (1 - 1/ratio), B = sup ||r|| on the disc |s| <= ratio s."""

        def disc(p):
            reach = around(size([arb(0), *p.coeffs()[1:]], s * ratio))
            return acb(p(arb(0)) + reach, reach)

        gates = {at: disc(q) if at in self.slopes else q for at, q in self.gates.items()}
        field, _ = self.net.gradient([disc(p) for p in self.theta], lambda *at: gates[at[:3]])
        speeds = (disc(p.derivative()).abs_upper() * self.pace for p in self.theta)
        worst = norm(v + self.rate * acb(g).abs_upper() for v, g in zip(speeds, field))
        return (worst * arb(ratio) ** -terms / (1 - arb(1) / ratio)).abs_upper() if worst.is_finite() else arb("inf")

    def side(self, at):
        """1 or -1: the side on which p has a gate in this step."""
        return 1 if self.z[at](self.middle) > 0 else -1

    def astray(self, at, low, high):
        """A bound of |s(z) - q z| / |alpha - alpha_bar| at p, q the slope taken for p."""
        if at in self.slopes:
            return on(self.z[at], low, high).abs_upper().min(size(self.z[at].coeffs(), high))
        return (-lowest(self.z[at] * self.side(at), low, high)).max(arb(0)).abs_upper()

    def tube_gates(self, kind, box, low, high, radius, name):
        """The gates on the tube; and of those whose pre-activation may vanish there L and o, see below.

        At distance u <= radius from p, |z(theta) - z(p)| <= L u + o: layer by layer |sum W_s (a_s - a_s(p))| + u ||a||.
        """
        net, weights, found, doubtful = self.net, self.net.cut(box), {}, {}
        for i, x in enumerate([] if net.linear else net.x):
            a_in, moved, off = x, [arb(0)] * len(x), [arb(0)] * len(x)
            for layer, w in enumerate(weights[:-1]):
                out, reach = [], norm(a_in)
                for r, row in enumerate(w):
                    at, z, sizes = (i, layer, r), dot(row, a_in), [v.abs_upper() for v in row]
                    lip, rest = dot(sizes, moved) + reach, dot(sizes, off)
                    slope, side, spread = self.gates[at], self.side(at), (lip * radius + rest).abs_upper()
                    known = z == 0 or z * side > 0 or exceeds(self.z[at] * side, low, high, spread)
                    if at in self.slopes or not known:  # known: on the side of p, or 0 on the tube, where any slope is
                        may = kind in ("kink", "convex") or (kind == "crossing" and at not in self.slopes)
                        require(may, f"{name} ({kind}), pre-activation {at} on the tube", z.abs_lower(), ">", 0)
                        slope, doubtful[at] = net.either, (lip, rest)
                        rest += 2 * self.astray(at, low, high)
                    found[at] = slope
                    out.append((slope * z, net.steepest * lip, net.steepest * rest))
                a_in, moved, off = map(list, zip(*out))
        return found, doubtful

    def gap(self, b, doubtful, low, high, name):
        """c sum b (s(z) - q z) along p, for the gates that may change on a convex cell."""
        result, (upper, lower) = arb(0), self.net.slopes
        for at in doubtful:
            b_at, q = b[at[0]][at[1]][at[2]], self.slopes.get(at)
            require(b_at > 0 and upper > lower, f"{name}, back-propagated coefficient of gate {at}", b_at, ">", 0)
            inside = q is None or (exceeds(q, low, high, lower) and exceeds(-q, low, high, -upper))
            require(inside, f"{name}, slope of gate {at}", q and q(hull(low, high)), "in", self.net.either)
            result += b_at * (upper - lower) * self.astray(at, low, high)
        return (self.rate * result).abs_upper()

    def crossing(self, box, field, gates, doubtful, low, high, name):
        """What the gates of a crossing cell add to the error and multiply it by."""
        net, added, factor = self.net, arb(0), arb(1)
        other, _ = net.gradient(box, lambda *at: self.gates[at[:3]] if at[:3] in doubtful else gates[at[:3]])
        jump = self.rate * norm(u - v for u, v in zip(field, other))
        samples = net.passes(box, lambda *at: gates[at[:3]])
        for at, (lip, off) in doubtful.items():
            (i, layer, unit), z = at, self.z[at] * self.side(at)
            weights, inputs, slopes, _ = samples[i]
            normal, *_ = net.backward(weights[: layer + 1], inputs, slopes, identity(len(weights[layer]))[unit])
            speed = -self.side(at) * self.rate * sum(map(mul, normal, field))
            slowest, end = speed.abs_lower(), low
            if not speed > 0:  # towards zero: so must z(p) be
                slowest, end = slowest.min(-on(z.derivative(), low, high) * self.pace), high
            require(slowest > 0, f"{name}, speed of pre-activation {at}", slowest, ">", 0)
            added += jump * (off + (-z(end)).max(arb(0))) / slowest
            factor *= 1 + jump * lip / slowest
        return added, factor

    def error_after(self, kind, low, high, radius, rate, error, name):
        """The error at the end of a cell, from the error at its beginning (the jump included)."""
        require(error < radius, f"{name}, error at its beginning", error, "<", radius)
        time, low, high = ball((high - low) * self.unit), ball(low), ball(high)
        box = [on(p, low, high) + around(radius) for p in self.theta]
        gates, doubtful = self.tube_gates(kind, box, low, high, radius, name)
        field, b = self.net.gradient(box, lambda *at: gates[at[:3]])
        if kind == "kink":
            speeds = [on(p.derivative(), low, high) * self.pace for p in self.theta]
            return (error + time * norm(v + self.rate * g for v, g in zip(speeds, field))).abs_upper()
        hessian = self.net.hessian(box, lambda *at: gates[at[:3]])
        prove_eigenvalues([[self.rate * v for v in row] for row in hessian], -rate, f"{name}, least eigenvalue")
        delta, factor, rate = self.defect, arb(1), rate.max(arb(0)) if doubtful else rate
        if doubtful and kind == "convex":
            root = self.gap(b, doubtful, low, high, name).sqrt().abs_upper()
            delta, error = delta + root, error.max(root)
        elif doubtful:
            added, factor = self.crossing(box, field, gates, doubtful, low, high, name)
            error += added
        grows = (rate * time).expm1()
        return (factor * ((grows + 1) * error + delta * (time if rate == 0 else grows / rate))).abs_upper()


class Flow:
    """Polynomials near the flow, and how near: `cells` holds (end, largest error, step) in order of time."""

    def __init__(self, tables, net, rate):
        self.end, self.cells, error, before = Fraction(0), [], arb(0), net.theta0
        for number, table in enumerate(tables):
            step = Step(table, self.end, net, rate, f"step {number}")
            found = step.find_defect()
            require(found <= step.defect, f"{step.name}, defect", found, "<=", step.defect)
            error += norm(a - b for a, b in zip(step.at(step.start), before, strict=True))
            self.end, before, low = step.end, step.at(step.end), Fraction(0)
            for at, cell in enumerate(step.cells):
                name, kind = f"{step.name}, cell {at}", cell["kind"]
                high, radius, claimed, m = (rational(cell[key]) for key in ("end", "radius", "error", "rate"))
                require(low <= high <= step.length, f"{name}, its beginning", low, "<=", high)
                found = step.error_after(kind, low, high, ball(radius), ball(m), error, name)
                require(found <= ball(claimed), f"{name}, error at its end", found, "<=", ball(claimed))
                require(claimed < radius, f"{name}, error at its end", ball(claimed), "<", ball(radius))
                self.cells.append((step.start + high * step.unit, error.max(ball(claimed)), step))
                low, error = high, ball(claimed)
            require(low == step.length, f"{step.name}, the end of its cells", low, "==", step.length)

    def at(self, time):
        """A box that contains theta(t)."""
        require(0 <= time <= self.end, "the flow is enclosed to", self.end, ">=", time)
        _, error, step = self.cells[bisect_left(self.cells, time, key=lambda cell: cell[0])]
        return [v + around(error) for v in step.at(time)]


# Descent, and all time ------------------------------------------------------------------------------------------------


def descend(net, eta, beta, steps):
    """theta_0, ..., theta_steps in balls."""
    theta, velocity, iterates = net.theta0, [arb(0)] * net.count, [net.theta0]
    for k in range(steps):
        slope, _ = net.gradient(theta, net.signs(f"descent, step {k}"))
        velocity = [ball(beta) * v - ball(eta) * g for v, g in zip(velocity, slope)]
        theta = [a + v for a, v in zip(theta, velocity)]
        iterates.append(theta)
    return iterates


def attraction(net, point, table, eta=None):
    """The path from any point of a box on: a bound of its length.

    On the ball of radius r around the point no gate changes and ||g||^2 >= 2 mu (f - f*). While the flow is in it, its
    path is at most L = sqrt(2 (f - f*)/mu) long; if L < r it stays, converges, and f decreases. Descent with eta <=
    1/beta, beta >= ||H|| on the ball, the same with 2 L/(2 - eta beta). mu comes from

    - interpolation (square loss): f* = 0, mu = lambda_min(J J^T)/N, J the Jacobian of all outputs;
    - linear (square loss): f* the least squares value, mu = lambda_min(X X^T/N) lambda_min(K K^T), K the Jacobian of
      the end-to-end matrix;
    - convex: mu = lambda_min(H); then f - f* <= ||g||^2/(2 mu), so that L = ||g||/mu.
    """
    r, kind, gate = ball(rational(table["radius"])), table["kind"], net.signs("attraction")
    box, bound, n = [v + around(r) for v in point], ball(rational(table["bound"])), len(net.x)
    require(bound > 0, "attraction, lower bound of the eigenvalues", bound, ">", 0)
    hessian = net.hessian(box, gate)
    if kind == "convex":
        prove_eigenvalues(hessian, bound, "attraction, least eigenvalue")
        reach = norm(net.gradient(point, gate)[0]) / bound
    else:
        applies = net.loss == "square" and (kind == "interpolation" or (kind == "linear" and net.linear))
        require(applies, "attraction, this network and loss", kind, "is a kind for", net.loss)
        samples = net.passes(box, gate, identity(net.widths[0]) if kind == "linear" else net.x)
        j = arb_mat([row for *sample, _ in samples for row in net.jacobian(*sample)])
        prove_eigenvalues((j * j.transpose()).tolist(), bound, "attraction, Gram matrix of the Jacobian")
        least, mu = arb(0), bound / n
        if kind == "linear":
            x, y = (fmpq_mat([[fmpq(v.numerator, v.denominator) for v in row] for row in rows]) for rows in net.exact)
            gram, moment, smallest = x.transpose() * x, x.transpose() * y, ball(rational(table["covariance"]))
            covariance = [[arb(v / n) for v in row] for row in gram.tolist()]
            prove_eigenvalues(covariance, smallest, "attraction, covariance of the inputs")
            require(smallest > 0, "attraction, lower bound of the covariance", smallest, ">", 0)
            rest = (y.transpose() * y - moment.transpose() * gram.inv() * moment).tolist()
            least, mu = arb(sum((row[o] for o, row in enumerate(rest)), fmpq(0)) / (2 * n)), bound * smallest
        reach = (2 * (net.mean_loss(point, gate) - least).abs_upper() / mu).sqrt()
    if eta is not None:
        eta, beta = ball(eta), ball(rational(table["smoothness"]))
        for sign in (1, -1):
            prove_eigenvalues([[sign * v for v in row] for row in hessian], -beta, "attraction, smoothness")
        require(eta * beta <= 1, "attraction, step size times smoothness", eta * beta, "<=", 1)
        reach = 2 * reach / (2 - eta * beta)
    require(reach < r, "attraction, length of the rest of the path", reach, "<", r)
    return reach


# The statement --------------------------------------------------------------------------------------------------------

SENTENCES = {
    "distance": ("|theta_k - theta(k eta)| <= {0} for all k <= {1}", "|theta_k - theta(k eta)| > {0} for a k <= {1}"),
    "descent-loss": ("f(theta_k) <= {0} for a k <= {1}", "f(theta_k) > {0} for all k <= {1}"),
    "descent-stays": ("for a k <= {1}, f(theta_j) <= {0} for all j >= k, and theta_j converges", ""),
    "flow-loss": ("f(theta(t)) <= {0} for all t >= {1}", "f(theta(t)) > {0} for all t <= {1}"),
    "limit": ("theta(t) converges to a point within {0} of theta*", "theta(t) converges, not within {0} of theta*"),
}


def prove(data):
    """Proves every claim of a certificate; yields what was proved, in words."""
    flint.ctx.prec = max(data["precision"], data["descent"]["precision"])
    net, table = Network(data["problem"]), data["descent"]
    eta, beta, steps = rational(table["step_size"]), rational(table["momentum"]), table["steps"]
    require(eta > 0 and 0 <= beta < 1 and data["claims"], "descent, momentum", beta, "in", "[0, 1)")
    iterates = descend(net, eta, beta, steps)
    yield f"descent: {steps} steps of size {eta} with momentum {beta}, in balls"
    flint.ctx.prec = data["precision"]
    flow = Flow(data["flow"], net, 1 / (1 - ball(beta)))
    worst = max((float(error) for _, error, _ in flow.cells), default=0)
    yield f"gradient flow to t = {float(flow.end):.6g}: within {worst:.3g} of the polynomials of the file"
    for claim in data["claims"]:
        kind, holds = claim["kind"], claim["holds"]
        bound, last, at = (rational(claim[key]) for key in ("bound", "last", "at"))
        if not isinstance(holds, bool):  # what is true or false of it decides how many steps are looked at
            raise ValueError(f"holds must be true or false, got {holds!r}")
        if kind in ("distance", "descent-loss", "descent-stays"):
            require(0 <= at <= last <= steps, f"{kind}, steps of descent", last, "<=", steps)
            every = range(int(last) + 1) if holds == (kind == "distance") else [int(at)]
        else:
            require(kind == "limit" or (at <= last if holds else at >= last), f"{kind}, time", at, "against", last)
            every = [at]
        for k in every:
            if kind == "distance":
                value = norm(a - b for a, b in zip(iterates[k], flow.at(k * eta)))
            elif kind == "limit":
                point, target = flow.at(flow.end), [ball(rational(v)) for v in claim["point"]]
                apart = norm(a - b for a, b in zip(point, target, strict=True))
                value = apart + around(attraction(net, point, claim["attraction"]))
            else:
                value = net.mean_loss(flow.at(k) if kind == "flow-loss" else iterates[k], net.signs())
            proved = value <= ball(bound) if holds else value > ball(bound)
            require(proved, f"{kind} at {k}", value, "<=" if holds else ">", ball(bound))
        if kind == "descent-stays":
            require(holds and beta == 0, "attraction, momentum", beta, "==", 0)
            attraction(net, iterates[int(at)], claim["attraction"], eta)
        yield SENTENCES[kind][0 if holds else 1].format(bound, last)


def main(arguments):
    sys.set_int_max_str_digits(0)
    try:
        with open(arguments[0], encoding="utf-8") as file:
            data = json.load(file)
        if data["format"] != 1:
            raise ValueError(f"format must be 1, got {data['format']!r}")
        for line in prove(data):
            print("verified:", line, flush=True)
    except Rejected as wrong:
        print("rejected:", wrong)
        return 1
    except (OSError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError) as wrong:
        print(f"unreadable: {' '.join(arguments)}: {type(wrong).__name__}: {wrong}", file=sys.stderr)
        return 2
    print("The statement is proved.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
