r"""What a claim may speak of: quantities at the flow theta(t), at theta_k of descent, at the start, and of the run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import sympy

from symflow.analysis.falsify.family import MOST_DEPTH
from symflow.analysis.falsify.points import LAYERS, POINTS, point_quantity
from symflow.displays import displayed

Place = Literal["flow", "descent", "start"]
SUFFIXES: dict[str, Place] = {"_descent": "descent", "_0": "start"}
AT: dict[Place, str] = {"flow": "", "descent": ", at theta_k of descent", "start": ", at theta(0)"}
SIZES = {"n": "depth", "N": "number of samples", "P": "number of parameters", "k": "number of steps of descent"}
"""Whole numbers."""
CLOCK = {"t": "time k eta", "T": "final time of the run, which is t", "eta": "step size"}
TUBE = {
    "beta": "sup ||H|| over the tube of radius deviation around the flow up to t, as R4 has it",
    "gamma": "sup ||g|| over that tube",
    "m": "sup -lambda_min(H) over that tube",
    "M": "int_0^t -lambda_min(H(theta(s))) ds along the flow",
}
"""Suprema over the tube, each enclosed: sampled from below, certified from above."""
RUN = {
    "deviation": "||theta_k - theta(t)||, descent from flow at equal time",
    "displacement": "||theta(t) - theta(0)||",
    "displacement_descent": "||theta_k - theta(0)||",
    "drift": "(sum_j ||D_j(theta(t)) - D_j(theta(0))||_F^2)^(1/2), what R10 says is 0",
    "drift_descent": "the same at theta_k of descent",
}
"""Distances between two points of the run."""


@displayed
@dataclass(frozen=True)
class ClaimQuantity:
    """A quantity that claims may contain.

    Attributes:
        symbol: its SymPy symbol, real.
        meaning: its formula or its meaning in words.

    Example:
        >>> quantity = sf.claim_quantities()["deviation"]
        >>> quantity.symbol, quantity.meaning
        (deviation, '||theta_k - theta(t)||, descent from flow at equal time')
    """

    symbol: sympy.Symbol
    meaning: str


def claim_quantities() -> Mapping[str, ClaimQuantity]:
    """q(theta(t)), q(theta_k), q(theta(0)): the quantities that a claim may contain, by name.

    Those of `bound_quantities` mean the same here. Quantities of a point are taken at the flow theta(t), t = k eta;
    with `_descent` after the name at theta_k of gradient descent, with `_0` at theta(0). In a claim without time (no t,
    no descent, no `_0`) they are taken at theta(0), which is every point. `s_1`, `s_2`, ... (and F, A, kappa) are those
    of the layers, of which the first eight are listed; deeper ones exist when they are asked for.

    Returns:
        A read-only mapping from names to `ClaimQuantity` records; their `symbol` is what a claim is written in, such as
        ``q["f_descent"].symbol <= q["f_0"].symbol``.

    Example:
        >>> q = {name: quantity.symbol for name, quantity in sf.claim_quantities().items()}
        >>> q["f_descent"] <= q["f_0"]
        f_descent <= f_0
        >>> sf.claim_quantities()["deviation"].meaning
        '||theta_k - theta(t)||, descent from flow at equal time'
    """
    layers = [f"{letter}_{layer}" for letter in LAYERS for layer in range(1, MOST_DEPTH + 1)]
    points = [f"{name}{suffix}" for suffix in ("", *SUFFIXES) for name in (*POINTS, *layers)]
    found = {name: _point_meaning(name) for name in points} | SIZES | CLOCK | RUN | TUBE
    return _Quantities({name: ClaimQuantity(sympy.Symbol(name), meaning) for name, meaning in found.items()})


@displayed
class _Quantities(dict[str, ClaimQuantity]):
    """The quantities by name; those of layers beyond the listed ones, too."""

    def __missing__(self, name: str) -> ClaimQuantity:
        if not known(name):
            raise KeyError(name)
        return ClaimQuantity(sympy.Symbol(name), _point_meaning(name))


def _point_meaning(name: str) -> str:
    stem, place = base(name)
    found = point_quantity(stem)
    assert found is not None
    quantity, layer = found
    of_layer = "" if layer is None else f", layer {layer}"
    return f"{quantity.meaning}{of_layer}{AT[place]}"


def known(name: str) -> bool:
    """Whether a claim may contain this name."""
    return name in SIZES or name in CLOCK or name in TUBE or name in RUN or point_quantity(base(name)[0]) is not None


def base(name: str) -> tuple[str, Place]:
    """The quantity of a point and the place where it is taken."""
    for suffix, place in SUFFIXES.items():
        stem = name.removesuffix(suffix)
        if stem != name and point_quantity(stem) is not None:
            return stem, place
    return name, "flow"


_LATEX = {
    "g": r"\|g\|",
    "lambda_min": r"\lambda_{\min}",
    "lambda_max": r"\lambda_{\max}",
    "H": r"\|H\|",
    "grad_phi": r"\|\nabla\varphi\|",
    "grad_phi_F": r"\|\nabla\varphi\|_F",
    "w": r"\|W_{n:1}\|",
    "theta": r"\|\theta\|",
    "s_max": r"s_{\max}",
    "s_min": r"s_{\min}",
    "Sigma_xx": r"\|\Sigma_{xx}\|",
    "deviation": r"\|\theta_k-\theta(t)\|",
    "displacement": r"\|\theta(t)-\theta(0)\|",
    "displacement_descent": r"\|\theta_k-\theta(0)\|",
}
_PLACES = {"flow": "", "descent": r"\big|_{\theta_k}", "start": r"\big|_{\theta(0)}"}


def quantity_latex(name: str) -> str:
    """A quantity as mathematics; in words where it has no sign of its own."""
    if name in RUN or name in SIZES or name in CLOCK or name in TUBE:
        stem, place = name, ""
    else:
        stem, at = base(name)
        place = _PLACES[at]
    letter, _, layer = stem.rpartition("_")
    if stem in _LATEX:
        shown = _LATEX[stem]
    elif letter in LAYERS and layer.isdecimal():
        shown = rf"{sympy.latex(sympy.Symbol(letter))}_{{{layer}}}"
    elif len(stem) == 1 or stem in ("eta", "beta", "gamma"):
        shown = str(sympy.latex(sympy.Symbol(stem)))
    else:
        shown = rf"\,\text{{{stem.replace('_', ' ')}}}\,"
    return f"{{{shown}{place}}}" if place else shown


@dataclass(frozen=True)
class Needs:
    """What has to be computed to evaluate a claim.

    Attributes:
        points: the quantities at each place.
        run: the distances.
        tube: the suprema.
        moving: whether time passes; if not, everything is taken at theta(0).
        descent: whether descent is run.
        flow: whether the flow is solved.
    """

    points: Mapping[Place, tuple[str, ...]]
    run: tuple[str, ...]
    tube: tuple[str, ...]
    moving: bool
    descent: bool
    flow: bool

    def places(self) -> tuple[Place, ...]:
        """Where quantities are evaluated."""
        return tuple(place for place, names in self.points.items() if names)

    def imbalance(self, place: Place) -> bool:
        """Whether D_1, D_2, ... are needed there."""
        return {
            "start": "drift" in self.run or "drift_descent" in self.run,
            "flow": "drift" in self.run,
            "descent": "drift_descent" in self.run,
        }[place]

    def key(self, name: str) -> tuple[Place, str]:
        """Where a quantity of a point is found."""
        stem, place = base(name)
        return ("start" if place == "flow" and not self.moving else place), stem


def needs(names: Iterable[str]) -> Needs:
    """What the quantities of these names need."""
    names = sorted(names)
    own = [name for name in names if point_quantity(base(name)[0]) is not None]
    run, tube = tuple(x for x in names if x in RUN), tuple(x for x in names if x in TUBE)
    moving = bool(run or tube) or any(x in ("t", "T", "k") for x in names) or any(base(x)[1] != "flow" for x in own)
    found: dict[Place, list[str]] = {"start": [], "flow": [], "descent": []}
    for name in own:
        stem, place = base(name)
        found["start" if place == "flow" and not moving else place].append(stem)
    local = any(x in ("deviation", "beta", "gamma", "m") for x in names)
    descent = local or bool(found["descent"]) or any(x.endswith("_descent") for x in run)
    flow = local or bool(found["flow"] or tube) or any(x in ("displacement", "drift") for x in run)
    points = {place: tuple(sorted(set(stems))) for place, stems in found.items()}
    return Needs(points, run, tube, moving, descent, flow)
