"""From a program to one that reads well: named functions, and matrices in place of arrays of more axes.

Log-sum-exp, softmax, norms, maxima and stacks become `Applied` nodes. In convolutional networks the channels (and
kernel positions) of an array are fused into rows and its pixels and samples into columns; gathers become the operators
of `windows`. All else is rebuilt as it is, so the steps after this one know matrices and `Applied` alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from symflow.latex.axis_groups import Groups, by_sample, fused, fused_product, grouped, matching
from symflow.latex.measurements import measurement
from symflow.latex.operator_node import Applied, Operator
from symflow.latex.rules import Rule, applied
from symflow.latex.windows import VEC, Image, Linear, averages, patches, selections
from symflow.networks.convolutional import Convolutional
from symflow.networks.objective import Objective
from symflow.programs.nodes import (
    Add,
    Axis,
    Const,
    Einsum,
    Gather,
    Identity,
    Input,
    LargestEigenvalue,
    LogSumExp,
    Maximum,
    Node,
    ScatterAdd,
    SpectralNorm,
    Stack,
    Table,
    add,
    scale,
    softmax,
    split_scale,
)
from symflow.programs.program import Program, rebuild, topological

LSE = Operator(r"\operatorname{lse}(", (r"\operatorname{lse}(Z)_{s} := \log \textstyle\sum_{c} e^{Z_{cs}}",))
SOFTMAX = Operator(
    r"\operatorname{softmax}(",
    (r"\operatorname{softmax}(Z)_{cs} := e^{Z_{cs}} / \textstyle\sum_{c'} e^{Z_{c's}}",),
)
NORM = Operator(r"\|", (), r"\|")
EIGENVALUE = Operator(r"\lambda_{\max}(")
BY_SAMPLE = (r"\|\cdot\|, \lambda_{\max}\colon \text{sample by sample}",)
MAXIMUM = Operator(r"\max\{", (), r"\}")
COLUMN = Operator(r"\begin{pmatrix} ", (), r" \end{pmatrix}", r" \\ ")
COLUMN_BY_SAMPLE = replace(COLUMN, notes=(r"\begin{pmatrix}\,\end{pmatrix}\colon \text{one matrix for each sample}",))
ROW = Operator("", (), "", " & ")


@dataclass(frozen=True)
class Rules:
    """The rules of the rewriting.

    Attributes:
        fuse: whether arrays are read as matrices.
        windows: P_j by table.
        means: avg_j by table, and the multiple of it that is the sum over a window.
        images: which nodes max pooling and selections compute.
        softmaxes: which nodes are a softmax, and the log-sum-exp it belongs to.
    """

    fuse: bool
    windows: Mapping[Table, Linear]
    means: Mapping[Table, tuple[Linear, Fraction]]
    images: Mapping[Node, Image]
    softmaxes: Mapping[Node, LogSumExp]

    def of(self, x: Node) -> Rule:
        """How a node is rewritten.

        Raises:
            TypeError: it has no notation.
        """
        axes = self._axes(x.axes)
        if x in self.images:
            return _image(self.images[x], axes)
        if x in self.softmaxes:
            return self._columns(SOFTMAX, self.softmaxes[x], x.axes)
        if isinstance(x, LogSumExp):
            return self._columns(LSE, x, x.axes)
        if isinstance(x, (Gather, ScatterAdd)):
            return self._windows(x)
        if isinstance(x, Maximum):
            return x.arguments, lambda new: Applied(MAXIMUM, tuple(new), axes)
        if isinstance(x, SpectralNorm) and isinstance(x.x, Identity):
            return (), lambda new: Const(Fraction(1), ())
        if isinstance(x, (SpectralNorm, LargestEigenvalue)):
            operator = NORM if isinstance(x, SpectralNorm) else EIGENVALUE
            named = replace(operator, notes=BY_SAMPLE) if axes else operator
            return x.arguments, lambda new: Applied(named, tuple(new), axes)
        if isinstance(x, Stack):
            return _stack(x)
        if isinstance(x, Einsum) and self.fuse:
            return self._product(x)
        if isinstance(x, Einsum) and (measured := measurement(x)) is not None:
            return measured
        if isinstance(x, Add):
            return x.arguments, lambda new: added([(c, y) for (c, _), y in zip(x.terms, new, strict=True)])
        if isinstance(x, Input):
            return (), lambda new: Input(x.name, axes, x.role, x.latex)
        if isinstance(x, Const):
            return (), lambda new: Const(x.value, axes)
        return x.arguments, lambda new: rebuild(x, dict(zip(x.arguments, new, strict=True)))

    def _axes(self, axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
        return fused(axes, grouped(axes)) if self.fuse else axes

    def _columns(self, operator: Operator, x: LogSumExp, axes: tuple[Axis, ...]) -> Rule:
        """A function that acts column by column: on the first axis, or on the samples as columns."""
        if x.position != 0 or len(self._axes(x.x.axes)) > 2:
            raise TypeError(f"the LaTeX printer knows log-sum-exp over the first axis only, got position {x.position}")
        if not self.fuse or len(grouped(x.x.axes)[0]) == 1:
            return (x.x,), lambda new: Applied(operator, tuple(new), self._axes(axes))

        def rewritten(new: Sequence[Node]) -> Node:
            stacked = regrouped(new[0], x.x.axes, grouped(x.x.axes), by_sample(x.x.axes))
            result = Applied(operator, (stacked,), fused(axes, by_sample(axes)))
            return regrouped(result, axes, by_sample(axes), grouped(axes))

        return (x.x,), rewritten

    def _windows(self, x: Gather | ScatterAdd) -> Rule:
        """Patches, and the adjoints of patches and means."""
        axes = self._axes(x.axes)
        if x.table in self.windows:
            pair = self.windows[x.table]
            operator = pair.direct if isinstance(x, Gather) else pair.adjoint
            return (x.x,), lambda new: applied(operator, new[0], axes)
        if x.table in self.means and isinstance(x, ScatterAdd) and isinstance(x.x, Einsum) and len(x.x.args) == 1:
            mean, size = self.means[x.table]
            return x.x.args, lambda new: scale(size, applied(mean.adjoint, new[0], axes))
        raise TypeError(f"the LaTeX printer does not know this {type(x).__name__} of axis {x.table.source.name}")

    def _product(self, x: Einsum) -> Rule:
        """A product of matrices, or the mean of windows."""
        (first, *others) = x.args
        if isinstance(first, Gather) and not others and first.table in self.means and len(x.out) < len(x.labels[0]):
            mean, size = self.means[first.table]
            return (first.x,), lambda new: scale(size, applied(mean.direct, new[0], self._axes(x.axes)))
        groups, result = matching(x)

        def rewritten(new: Sequence[Node]) -> Node:
            arguments = [regrouped(y, a.axes, grouped(a.axes), g) for y, a, g in zip(new, x.args, groups, strict=True)]
            return regrouped(fused_product(x, arguments, groups, result), x.axes, result, grouped(x.axes))

        return x.args, rewritten


def _image(image: Image, axes: tuple[Axis, ...]) -> Rule:
    nodes = tuple(y for _, y in image.arguments)

    def rewritten(new: Sequence[Node]) -> Node:
        arguments = tuple(scale(c, y) for (c, _), y in zip(image.arguments, new, strict=True))
        return scale(image.outer, Applied(image.operator, arguments, axes))

    return nodes, rewritten


def _stack(x: Stack) -> Rule:
    """A column of numbers, or a matrix of them; or one for each sample, where the entries are vectors over samples."""
    if all(isinstance(a, Stack) for a in x.args):
        width = len(x.args)
        entries = tuple(a.arguments[i] for i in range(len(x.args[0].arguments)) for a in x.args)

        def matrix(new: Sequence[Node]) -> Node:
            rows = [Applied(ROW, tuple(new[at : at + width]), x.axes[:-2]) for at in range(0, len(new), width)]
            return Applied(COLUMN if len(x.axes) == 2 else COLUMN_BY_SAMPLE, tuple(rows), x.axes)

        return entries, matrix
    return x.args, lambda new: Applied(COLUMN if len(x.axes) == 1 else COLUMN_BY_SAMPLE, tuple(new), x.axes)


def added(terms: Sequence[tuple[Fraction, Node]]) -> Node:
    """A sum; what vec^* is applied to is added up first."""
    stacked: list[tuple[Fraction, Node]] = []
    others: list[tuple[Fraction, Node]] = []
    axes = terms[0][1].axes
    for c, x in terms:
        factor, base = split_scale(x)
        if isinstance(base, Applied) and base.operator == VEC.adjoint:
            stacked.append((c * factor, base.args[0]))
        else:
            others.append((c, x))
    return add([*others, (1, applied(VEC.adjoint, add(stacked), axes))] if len(stacked) > 1 else terms)


def regrouped(x: Node, axes: tuple[Axis, ...], old: Groups, new: Groups) -> Node:
    """The array with these axes as another matrix: with one column for each sample, or back."""
    if old == new:
        return x
    operator = VEC.direct if new == by_sample(axes) else VEC.adjoint
    return applied(operator, x, fused(axes, new))


def readable(program: Program, objective: Objective, named: Iterable[Node]) -> dict[Node, Node]:
    """What every node that is needed for the outputs of a program, or has a name, becomes.

    Raises:
        TypeError: a node has no notation.
    """
    nodes = topological([*program.outputs.values(), *objective.program.outputs.values()])
    rules = _rules(nodes, objective)
    new: dict[Node, Node] = {}
    inside = set(program.nodes)
    for goal in (*program.inputs, *(x for x in named if x in inside), *program.outputs.values()):
        todo = [goal]
        while todo:
            x = todo[-1]
            if x in new:
                todo.pop()
                continue
            parts, rewritten = rules.of(x)
            missing = [a for a in parts if a not in new]
            if missing:
                todo += missing
            else:
                new[todo.pop()] = rewritten([new[a] for a in parts])
    return new


def _rules(nodes: Sequence[Node], objective: Objective) -> Rules:
    softmaxes = {softmax(x): x for x in nodes if isinstance(x, LogSumExp)}
    network = objective.architecture
    if not isinstance(network, Convolutional):
        return Rules(False, {}, {}, {}, softmaxes)
    images: dict[Node, Image] = {}
    for pool in selections(network, objective.loss):
        images |= pool.images(nodes)
    return Rules(True, patches(network), averages(network), images, softmaxes)
