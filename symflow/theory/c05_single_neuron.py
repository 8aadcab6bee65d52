"""C5: a single linear neuron, f = ||a w - b||^2/2, for every delta = a^2 - ||w||^2: one formula without branches."""

from __future__ import annotations

import sympy

from symflow.numbers.types import Scalar
from symflow.theory.functions import MPMATH, SYMBOLS, AllFunctions
from symflow.theory.hypotheses import Hypothesis, Setting, Verdict
from symflow.theory.hypothesis_checks import LINEAR, SQUARE_LOSS, fails, holds
from symflow.theory.result import SOURCES, Result
from symflow.theory.statement import equation
from symflow.theory.whitened import SQUARED_DISTANCE


def growth(delta: Scalar, target: Scalar, functions: AllFunctions) -> Scalar:
    """kappa = sqrt(delta^2 + 4 lambda^2): the two rates are (delta +- kappa)/2."""
    return functions.sqrt(delta**2 + 4 * target**2)


def linear_parts(
    a: Scalar, u: Scalar, delta: Scalar, target: Scalar, cosh: Scalar, ratio: Scalar
) -> tuple[Scalar, Scalar]:
    """A and U up to the factor e^{delta t/2}: cosh = cosh(kappa t/2), ratio = sinh(kappa t/2)/kappa, t/2 at 0."""
    return a * cosh + (delta * a + 2 * target * u) * ratio, u * cosh + (2 * target * a - delta * u) * ratio


def single_neuron(a: Scalar, u: Scalar, rest: Scalar, target: Scalar, time: Scalar) -> tuple[Scalar, Scalar, Scalar]:
    """(a(t), u(t), s(t)) in mpmath: u = <w, b>/||b||, and the part of w across b is divided by s.

    Args:
        a: a(0).
        u: u(0).
        rest: the squared length of the part of w(0) across b.
        target: lambda = ||b||.
        time: t.
    """
    f = MPMATH
    delta = a**2 - u**2 - rest
    kappa = growth(delta, target, f)
    half = kappa * time / 2
    ratio = f.sinh(half) / kappa if kappa else time / 2
    found = linear_parts(a, u, delta, target, f.cosh(half), ratio)
    size = f.exp(delta * time / 2)
    s = f.sqrt(1 + 2 * _energy(a, u, delta, target, kappa, time))
    return size * found[0] / s, size * found[1] / s, s


def _energy(a: Scalar, u: Scalar, delta: Scalar, target: Scalar, kappa: Scalar, time: Scalar) -> Scalar:
    """int_0^t A^2 with A = c_1 e^{mu_+ t} + c_2 e^{mu_- t}, mu = (delta +- kappa)/2."""
    if not kappa:
        return a**2 * time
    first = (a * (kappa + delta) + 2 * target * u) / (2 * kappa)
    second = a - first

    def integral(rate: Scalar) -> Scalar:
        return time * MPMATH.mean_exp(rate * time)

    ends = first**2 * integral(delta + kappa) + second**2 * integral(delta - kappa)
    return ends + 2 * first * second * integral(delta)


def _one_neuron(setting: Setting) -> Verdict:
    network = setting.objective.network
    if network is None or network.depth != 2 or len(network.weight_axes[0]) != 2:
        return fails("not a linear network of depth 2")
    hidden, outputs = (int(a.size) for a in (network.weight_axes[1][1], *network.output_axes))
    if hidden == outputs == 1:
        return holds("one hidden unit, one output")
    return fails(f"the network has {hidden} hidden units and {outputs} outputs")


ONE_NEURON = Hypothesis(
    "one hidden unit and one output", r"$n = 2$, $d_1 = d_2 = 1$: $W_2 = a$, $W_1 = w^\top$", _one_neuron
)
_a, _u, _delta = sympy.symbols("a_0 u_0 delta", real=True)
_lam, _kappa, _t, _s = sympy.symbols("lambda kappa t s", positive=True)
_A, _U = linear_parts(_a, _u, _delta, _lam, sympy.cosh(_kappa * _t / 2), sympy.sinh(_kappa * _t / 2) / _kappa)
_HALF = sympy.exp(_delta * _t / 2)
SINGLE_NEURON = Result(
    "C5",
    "single-neuron",
    "a single linear neuron",
    "closed form: a single linear neuron a <w, x>, for every a^2 - |w|^2",
    f"the setting: {SOURCES['KMSA24']}; this form without branches: symflow",
    (LINEAR, SQUARE_LOSS, SQUARED_DISTANCE, ONE_NEURON),
    (
        equation("output weight", "a", sympy.Symbol("A") / _s),
        equation("along b", "u", sympy.Symbol("U") / _s),
        equation("across b", r"w_\perp(t)", sympy.Symbol(r"w_\perp(0)") / _s),
        equation("numerator of a", "A", _HALF * _A),
        equation("numerator of u", "U", _HALF * _U),
        equation("scale", _s**2, 1 + 2 * sympy.Symbol(r"\int_0^tA^2")),
        equation("rate", _kappa, growth(_delta, _lam, SYMBOLS)),
    ),
    (
        Hypothesis(
            "",
            r"$M = b^\top$, $\sigma = 1$ (else $\sigma t$ in place of $t$), $\lambda = \|b\|$, $u = \langle w,b\rangle/"
            r"\lambda$, $w_\perp$ the part of $w$ across $b$, $\delta = a^2-\|w\|^2$ at $t = 0$, of either sign or 0; "
            r"$\sinh(\kappa t/2)/\kappa$ is $t/2$ at $\kappa = 0$",
        ),
    ),
    remark=r"$\dot A = \delta A+\lambda U$, $\dot U = \lambda A$ are linear, so that no case of $\delta$, of $a(0)$ "
    r"or of "
    r"$\langle w(0),b\rangle$ is left out, zeros included.",
    derivations=("c05_single_neuron",),
)
