r"""The formulas of a problem, with the general statements they rest on, as sections of a document."""

from __future__ import annotations

from collections.abc import Sequence

from symflow.derivatives.derived import gradient_flow, hessian_form, loss
from symflow.latex import formulas, where
from symflow.latex.definitions import loss_latex, network_latex
from symflow.networks.convolutional import Convolutional
from symflow.networks.losses import SQUARE, Loss
from symflow.networks.moments import moment_form
from symflow.networks.network import Network
from symflow.networks.objective import Objective
from symflow.report.parts import Display, Facts, Part, Prose, Section, Stated
from symflow.theory.registry import find


def formula_sections(
    objective: Objective,
    settings: Sequence[tuple[str, str, str]],
    bounds: Sequence[tuple[str, Sequence[tuple[str, str, str]]]],
) -> tuple[Section, ...]:
    r"""The network, its gradient flow, Hessian form, invariants and bounds.

    Linear networks with data are written in moment form (R7 with Sigma_xx and Lambda_yx), others in sample form.

    Args:
        objective: what is minimized; a network's training loss or any other function.
        settings: rows (symbol, meaning, value) of the first table: number of samples, initialization, step size, ...
            The symbol is LaTeX mathematics without dollar signs (or empty), the others are plain text.
        bounds: for each bound its result id, such as "R4", and rows like those of `settings`. The value says how it
            was obtained ("0.0123, sampled at 200 times") or "not applicable: " and why.

    Raises:
        ProblemError: an unknown result id.
    """
    network = objective.network
    shown = moment_form(objective) or objective
    moments = _moments(shown)
    flow, form = formulas(gradient_flow(shown)), formulas(hessian_form(shown))
    # T_1, T_2, ... are numbered anew in each formula, so equal lines with them may mean different things.
    repeated = [e for e in form.equations if e in flow.equations and network is not None and "T_{" not in e]
    fresh = [e for e in form.equations if e not in repeated] + where([n for n in form.notes if n not in flow.notes])
    first = objective_section(objective)
    given = (Facts(tuple(settings)),) if settings else ()
    hessian: list[Part] = []
    text = _FORM_OF_PRODUCTS if moments else (_FORM_WITH_GATES if objective.gates else _FORM)
    if not moments and network is not None:
        text += _FORM_OF_SAMPLES
    if network is not None:
        hessian += [Stated(result) for result in _hessian_results(network, objective.sample_loss or SQUARE)]
    hessian.append(_display(text + (_FORM_CONTINUES if repeated else ""), fresh))
    sections = [
        Section(first.title, first.parts + given),
        Section("Gradient flow", (_display(_flow_text(shown, moments), flow.lines),)),
        Section("The Hessian as a quadratic form", tuple(hessian)),
    ]
    if network is not None and network.depth > 1:
        sections.append(Section("Invariants", (Stated("R10"),)))
    return (*sections, _distances(objective, bounds))


def _distances(objective: Objective, bounds: Sequence[tuple[str, Sequence[tuple[str, str, str]]]]) -> Section:
    """The bounds, in general and for this problem."""
    parts: list[Part] = [Prose(_BOUNDS.strip()), Stated("R3")]
    if objective.gates:
        parts.append(Prose(_CAUTION.strip()))
    for result, rows in bounds:
        parts.append(Stated(find(result).id))
        if rows:
            parts.append(Facts(tuple(rows), "For this problem:"))
    return Section("How far gradient descent is from gradient flow", tuple(parts))


def _display(text: str, lines: Sequence[str]) -> Display:
    """Text that ends in the equations."""
    return Display(text.strip(), tuple(lines))


def _moments(objective: Objective) -> bool:
    """Whether it is written in moments."""
    return any(x.name == "Sigma_xx" for x in objective.program.inputs)


def objective_section(given: Objective) -> Section:
    """What is minimized."""
    objective = moment_form(given) or given
    moments = _moments(objective)
    network = objective.architecture
    if network is None:
        return Section("The objective", (_display("The function is", formulas(loss(objective)).lines),))
    sample_loss = objective.sample_loss or SQUARE
    parts: list[Part] = [
        _display("The network is", _lines(network_latex(network))),
        _display("and its training loss", _lines(loss_latex(sample_loss))),
        Prose(_CONVEXITY[sample_loss.convexity]),
    ]
    if moments or sample_loss.expression is not None:
        parts.append(_display(_MOMENTS if moments else _LOSS, formulas(loss(objective)).lines))
    return Section("The network", tuple(parts))


def _lines(aligned: str) -> list[str]:
    """The lines of an ``aligned`` environment."""
    inner = aligned.removeprefix("\\begin{aligned}\n").removesuffix("\n\\end{aligned}")
    return inner.split(" \\\\\n")


def _flow_text(objective: Objective, moments: bool) -> str:
    """What gradient flow is, and what its symbols mean."""
    network = objective.architecture
    if network is None:
        return _FLOW
    text = _FLOW + _FLOW_OF_WEIGHTS
    if moments:
        return text
    columns = "" if isinstance(network, Convolutional) else "\nColumns are samples."
    named = _LINEAR if network.linear else _LAYERS if not objective.gates else _LAYERS + _GATES
    last = _RESIDUALS if (objective.sample_loss or SQUARE).known.residual else _PREDICTIONS
    return text + columns + named + last + _BARS


def _hessian_results(network: Network, sample_loss: Loss) -> list[str]:
    """The general results on the Hessian that apply."""
    convex = sample_loss.convexity != "unknown"
    if network.linear:
        return ["R7", "R9"] if convex and network.depth > 1 else ["R7"]
    if network.depth == 1 or not convex:
        return []
    return ["R13"] if isinstance(network, Convolutional) else ["R12"]


_MOMENTS = r"""
With the moments $\Sigma_{xx} = \tfrac1N XX^\top$, $\Lambda_{yx} = \tfrac1N YX^\top$, $\Sigma_{yy} = \tfrac1N YY^\top$
and $W_{j':j} = W_{j'}\cdots W_j$ (the identity for $j' < j$), $f(\theta) = \varphi(W_{n:1})$ reads"""

_FLOW = r"""
Gradient flow is $\dot\theta = -\nabla f(\theta)$; a dot is the derivative in time."""

_FLOW_OF_WEIGHTS = r"""
The vector $\theta$ holds all weights."""

_LAYERS = r"""
$Z_j$ holds the pre-activations of layer $j$ and $A_j$ what it passes on."""

_GATES = r"""
$D_j$ holds the gates; the gate at $z = 0$ is taken to be the slope for $z \ge 0$."""

_LINEAR = r"""
$W_{j':j} = W_{j'}\cdots W_j$ (the identity for $j' < j$)."""

_RESIDUALS = r"""
$R$ holds the residuals."""

_PREDICTIONS = r"""
The last of the $Z_j$ holds the predictions."""

_BARS = r"""
$\odot$ is the entrywise product, and a bar marks the derivative of $f$ with respect to the quantity below it."""

_CONVEXITY = {
    "proved": r"where $\ell$ is convex in $\hat y$.",
    "declared": r"where $\ell$ has been declared to be convex in $\hat y$; this is not proved here.",
    "unknown": r"where it is not known whether $\ell$ is convex in $\hat y$; results that need it are left out.",
}

_LOSS = r"""
In arrays over all samples,"""

_FORM = r"""
The second derivative of $t \mapsto f(\theta + t\Delta)$ at $t = 0$."""

_FORM_WITH_GATES = r"""
The second derivative of $t \mapsto f(\theta + t\Delta)$ at $t = 0$, where no gate changes."""

_FORM_OF_SAMPLES = r"""
A dot on an intermediate result is now its derivative in the direction $\Delta$, two dots the second one."""

_FORM_OF_PRODUCTS = r"""
For this network, in $O(n)$ products; $A_{j':j}$ and $B_{j':j}$ are the first and second derivatives of $W_{j':j}$ in
the direction $\Delta$."""

_FORM_CONTINUES = r"""
What gradient flow has already defined is not repeated."""

_BOUNDS = r"""
$\|\cdot\|$ is the Euclidean norm of vectors and the spectral norm of matrices, $g = \nabla f$, $H = \nabla^2 f$,
$\theta_k$ gradient descent with the step size $\eta$ and $\theta(t)$ gradient flow."""

_CAUTION = r"""
The activation has kinks. R4 and R22 hold where the tube lies in one smooth region, or where every kink it meets is one
at which the gradient jumps in the convex direction; otherwise they are not applicable."""
