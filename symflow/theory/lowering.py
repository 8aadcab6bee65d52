"""Terms as typed nodes: the depth, and with it every index, becomes a number."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from fractions import Fraction
from functools import reduce
from itertools import combinations
from typing import Any, TypeAlias

import sympy

from symflow.errors import ProblemError
from symflow.networks.network import Network
from symflow.programs.differentiate import jvp
from symflow.programs.nodes import Node, add, einsum, maximum, scale
from symflow.programs.program import transform
from symflow.theory import values
from symflow.theory.architecture_checks import homogeneous_streams, linear_streams, uncrossed_layers
from symflow.theory.model import ETA, Model
from symflow.theory.terms import (
    Cases,
    Chain,
    Derivative,
    Domain,
    Formula,
    Increment,
    Index,
    LargestEigenvalue,
    Letter,
    Members,
    Named,
    Norm,
    Number,
    Over,
    Pairs,
    Power,
    Product,
    Range,
    SampleMean,
    SecondDerivative,
    Subsets,
    Sum,
    Term,
    Trace,
    Transpose,
    Uncrossed,
    c,
    i,
    j,
    k,
    n,
)
from symflow.theory.values import Value

Place: TypeAlias = Mapping[sympy.Symbol, int | tuple[int, ...]]
"""The values of indices, and of sets of layers."""


def index_value(index: Index, place: Place) -> int:
    """The value of an index.

    Raises:
        ValueError: it is not an integer there.
    """
    if isinstance(index, int):
        return index
    value = index.xreplace({x: sympy.Integer(v) for x, v in place.items() if isinstance(v, int)})
    if not value.is_Integer:
        raise ValueError(f"the index {index} has no value; {value} remains")
    return int(value)


def cases(domain: Cases, place: Place, network: Network) -> Iterator[Place]:
    """The values that the free index of a claim takes for a network."""
    if isinstance(domain, Range):
        yield from places(domain, place)
    elif isinstance(domain, Uncrossed):
        yield from ({**place, domain.index: layer} for layer in uncrossed_layers(network))
    else:
        found = linear_streams(network) if domain.linear else homogeneous_streams(network)
        yield from ({**place, domain.index: layers} for layers in found)


def places(domain: Domain, place: Place) -> Iterator[Place]:
    """The values that a domain gives to its indices."""
    if isinstance(domain, Pairs):
        layers = range(1, index_value(n, place) + 1)
        yield from ({**place, domain.lower: a, domain.upper: b} for a, b in combinations(layers, 2))
    elif isinstance(domain, Members):
        members = place[domain.of]
        assert isinstance(members, tuple)
        yield from ({**place, domain.index: member} for member in members)
    else:
        low, high = (domain.low, domain.high) if isinstance(domain, Range) else (1, n)
        left_out = {place[x] for x in domain.excluding}
        layers = range(index_value(low, place), index_value(high, place) + 1)
        kept = [layer for layer in layers if layer not in left_out]
        if isinstance(domain, Range):
            yield from ({**place, domain.index: layer} for layer in kept)
        else:
            size = index_value(domain.size, place)
            sets = combinations(kept, size) if size >= 0 else iter(())
            yield from ({**place, domain.index: members} for members in sets)


def free_symbols(part: object) -> set[sympy.Basic]:
    """The indices that a term, or a part of one, depends on."""
    if isinstance(part, sympy.Basic):
        return set(part.free_symbols)
    if isinstance(part, tuple):
        return set().union(*map(free_symbols, part))
    if is_dataclass(part) and not isinstance(part, type):
        return set().union(*(free_symbols(getattr(part, field.name)) for field in fields(part)))
    return set()


@dataclass(frozen=True)
class Lowering:
    """Turns terms into nodes for one objective.

    Attributes:
        model: what the letters mean.
        known: the values of named terms and of symmetric polynomials that were met, by the term (kept, so that its
            identity is its own) and what its indices are.
        free: the indices that occur in those terms, with their values.
    """

    model: Model
    known: dict[tuple[int, tuple[Hashable, ...]], tuple[Term, Any]] = field(default_factory=dict)
    free: dict[int, tuple[Term, tuple[Hashable, ...]]] = field(default_factory=dict)

    def __call__(self, term: Term, place: Place) -> Value:
        """The value of a term where the indices have the values `place`.

        Raises:
            ProblemError: a letter has no meaning for the network or the loss.
            TypeError: an unknown term.
        """
        model = self.model
        if isinstance(term, Number):
            value = term.value.xreplace({x: sympy.Integer(v) for x, v in place.items() if isinstance(v, int)})
            value = sympy.Rational(value.doit())
            return values.number(Fraction(int(value.p), int(value.q)))
        if isinstance(term, Letter):
            layers = [index_value(x, place) for x in term.indices if x not in (i, c)]
            return model.letter(term.name, tuple(layers))
        if isinstance(term, Named):
            key = self._key(term.definition, place)
            found = self.known.get(key)
            if found is None:
                found = self.known[key] = (term.definition, self(term.definition, place))
            return found[1]
        if isinstance(term, Chain):
            return self._chain(term, place)
        if isinstance(term, Sum):
            return values.plus([self(x, place) for x in term.terms])
        if isinstance(term, Product):
            return self._product(term, place)
        if isinstance(term, Transpose):
            return values.transposed(self(term.x, place))
        if isinstance(term, Trace):
            return values.trace(self(term.x, place))
        if isinstance(term, Power):
            return self._power(term, place)
        if isinstance(term, Norm):
            x = self(term.x, place)
            return values.length(x) if term.frobenius else values.spectral_norm(x)
        if isinstance(term, Over):
            return self._over(term, place)
        if isinstance(term, SampleMean):
            return values.times(model.inverse_samples, values.batch_sum(self(term.body, place)))
        if isinstance(term, LargestEigenvalue):
            return self._layer_eigenvalue(term, place)
        if isinstance(term, SecondDerivative):
            x = self(term.x, place)
            return model.phi_curvature(x) if term.of == "phi" else model.loss_curvature(x)
        if isinstance(term, Derivative):
            return self._derivative(term, place)
        if isinstance(term, Increment):
            return self._increment(term, place)
        if isinstance(term, Formula):
            raise ProblemError(f"the formula {term.expression} is not a function of weights; evaluate it with numbers")
        raise TypeError(f"unknown term {type(term).__name__}")

    def _chain(self, term: Chain, place: Place) -> Value:
        top, bottom = index_value(term.top, place), index_value(term.bottom, place)
        result = self.model.layer_identity(top if top >= bottom else bottom - 1)
        for layer in range(top, bottom - 1, -1):
            if term.gated:
                result = values.times(result, self.model.letter("D", (layer,)))
            result = values.times(result, self.model.letter("W", (layer,)))
        return result

    def _product(self, term: Product, place: Place) -> Value:
        numbers = [self(x, place) for x in term.factors if isinstance(x, Number)]
        factor = reduce(values.times, numbers, values.number(1))
        if factor == values.ZERO:  # what it multiplies may not exist, as a maximum over sets of -1 layers
            return factor
        rest = []
        for x in term.factors:
            if not isinstance(x, Number):
                rest.append(self(x, place))
                if rest[-1] == values.ZERO:
                    return values.ZERO
        if not rest:
            return factor
        if rest[-1].rank == 1:  # from the right: matrix times vector
            product = reduce(lambda done, x: values.times(x, done), reversed(rest))
        else:
            product = reduce(values.times, rest)
        return values.times(factor, product)

    def _power(self, term: Power, place: Place) -> Value:
        exponent = self(Number(term.exponent), place).node
        assert hasattr(exponent, "value")
        power = Fraction(exponent.value)
        if isinstance(term.x, Norm):
            x = self(term.x.x, place)
            if term.x.frobenius or x.rank == 1:  # no root: exact for even powers
                return values.raised(values.squares(x), power / 2)
        return values.raised(self(term.x, place), power)

    def _over(self, term: Over, place: Place) -> Value:
        domain, body = term.domain, term.body
        if term.operation == "sum" and isinstance(domain, Subsets) and isinstance(body, Over):
            inner = body.domain
            if body.operation == "product" and isinstance(inner, Members) and inner.of == domain.index:
                return self._symmetric(domain, inner.index, body.body, place)
        found = [self(term.body, inner) for inner in places(term.domain, place)]
        if term.operation == "product":
            return reduce(values.times, found, values.number(1))
        if not found:
            return values.ZERO
        if term.operation == "sum":
            return values.plus(found)
        common = values.common_batch(found)
        sign = 1 if term.operation == "max" else -1
        largest = maximum([scale(sign, v.node) for v in common])
        return Value(scale(sign, largest), common[0].batched)

    def _key(self, term: Term, place: Place, *more: Hashable) -> tuple[int, tuple[Hashable, ...]]:
        """What the value of a term depends on: the term itself and the values of the indices that occur in it."""
        free = self.free.get(id(term))
        if free is None:
            free = self.free[id(term)] = (term, tuple(sorted(free_symbols(term), key=str)))
        return id(term), (*more, *((x, place[x]) for x in free[1] if x in place))

    def _symmetric(self, domain: Subsets, layer: sympy.Symbol, factor: Term, place: Place) -> Value:
        """The sum over all sets of `size` layers of the product of their factors: an elementary symmetric polynomial.

        Layer by layer E_k <- E_k + x E_{k-1}: about n^2/2 operations for all sizes in place of one product a set.
        """
        size = index_value(domain.size, place)
        left_out = {place[x] for x in domain.excluding}
        kept = tuple(other for other in range(1, index_value(n, place) + 1) if other not in left_out)
        if not 0 <= size <= len(kept):
            return values.ZERO
        key = self._key(factor, {x: value for x, value in place.items() if x != layer}, kept)
        found = self.known.get(key)
        if found is None:
            sums = [values.number(1)]
            for other in kept:
                x = self(factor, {**place, layer: other})
                longer = [values.plus([a, values.times(b, x)]) for a, b in zip(sums[1:], sums, strict=False)]
                sums = [sums[0], *longer, values.times(sums[-1], x)]
            found = self.known[key] = (factor, sums)
        return found[1][size]

    def _layer_eigenvalue(self, term: LargestEigenvalue, place: Place) -> Value:
        depth = self.model.depth
        rows = [[values.ZERO] * depth for _ in range(depth)]
        for a, b in combinations(range(depth), 2):
            entry = self(term.entry, {**place, j: a + 1, k: b + 1})
            rows[a][b] = rows[b][a] = entry
        return values.layer_matrix_eigenvalue(rows)

    def _tangents(self, term: Derivative, place: Place) -> dict[Node, Node]:
        model = self.model
        parameters = model.objective.parameters
        if term.along == "flow":
            return {w: scale(-1, g) for w, g in zip(parameters, model.slopes, strict=True)}
        if term.along == "direction":
            return dict(zip(parameters, model.directions, strict=True))
        layer = None if term.layer is None else index_value(term.layer, place)
        found: dict[Node, Node] = {w: w for p, w in enumerate(model.weights, 1) if layer in (None, p)}
        if term.along == "weights and biases":
            for p, b in model.biases.items():
                if layer is None or p >= layer:
                    found[b] = scale(p if layer is None else 1, b)
        return found

    def _derivative(self, term: Derivative, place: Place) -> Value:
        x, tangents = self(term.x, place), self._tangents(term, place)
        node = x.node
        for _ in range(term.order):
            node = jvp([node], tangents)[node]
        return Value(node, x.batched)

    def _increment(self, term: Increment, place: Place) -> Value:
        x, model = self(term.x, place), self.model
        after: dict[Node, Node] = {
            w: add([(1, w), (-1, einsum((ETA, g), ((), tuple(range(len(g.axes)))), tuple(range(len(g.axes)))))])
            for w, g in zip(model.objective.parameters, model.slopes, strict=True)
        }
        moved = transform([x.node], lambda y, _: after.get(y))[x.node]
        return Value(add([(1, moved), (-1, x.node)]), x.batched)
