"""All results, by id or slug: `cite`, `statement` and `statements`, and tables that answer to both names."""

from __future__ import annotations

from typing import Any, TypeVar

from symflow.errors import ProblemError
from symflow.theory.c01_one_layer import ONE_LAYER
from symflow.theory.c02_two_scalars import TWO_SCALARS
from symflow.theory.c03_one_output import ONE_OUTPUT
from symflow.theory.c04_descent_on_quadratics import DESCENT_ON_QUADRATICS
from symflow.theory.r01_energy import ENERGY
from symflow.theory.r02_euler import EULER
from symflow.theory.r03_fundamental_theorem import FUNDAMENTAL_THEOREM
from symflow.theory.r04_step_size import STEP_SIZE
from symflow.theory.r05_constant_curvature import CONSTANT_CURVATURE
from symflow.theory.r06_concave_parabola import CONCAVE_PARABOLA
from symflow.theory.r07_hessian_linear import HESSIAN_LINEAR
from symflow.theory.r08_unbounded_curvature import UNBOUNDED_CURVATURE
from symflow.theory.r09_curvature_linear import CURVATURE_LINEAR
from symflow.theory.r10_balancedness import BALANCEDNESS
from symflow.theory.r11_roughly_convex import ROUGHLY_CONVEX
from symflow.theory.r12_curvature_gated import CURVATURE_GATED
from symflow.theory.r13_curvature_convolutional import CURVATURE_CONVOLUTIONAL
from symflow.theory.r14_end_to_end import END_TO_END
from symflow.theory.r15_convergence_time import CONVERGENCE_TIME
from symflow.theory.r16_descent_converges import DESCENT_CONVERGES
from symflow.theory.r17_modified_equation import MODIFIED_EQUATION
from symflow.theory.r18_leading_order import LEADING_ORDER
from symflow.theory.r22_trajectory_wise import TRAJECTORY_WISE
from symflow.theory.result import Citation, Result
from symflow.theory.statement import Statement

RESULTS: dict[str, Result] = {
    result.id: result
    for result in (
        ENERGY,
        EULER,
        FUNDAMENTAL_THEOREM,
        STEP_SIZE,
        CONSTANT_CURVATURE,
        CONCAVE_PARABOLA,
        HESSIAN_LINEAR,
        UNBOUNDED_CURVATURE,
        CURVATURE_LINEAR,
        BALANCEDNESS,
        ROUGHLY_CONVEX,
        CURVATURE_GATED,
        CURVATURE_CONVOLUTIONAL,
        END_TO_END,
        CONVERGENCE_TIME,
        DESCENT_CONVERGES,
        MODIFIED_EQUATION,
        LEADING_ORDER,
        TRAJECTORY_WISE,
        ONE_LAYER,
        TWO_SCALARS,
        ONE_OUTPUT,
        DESCENT_ON_QUADRATICS,
    )
}
"""By id: the results in their order, then the closed forms."""
_IDS = {result.slug: result.id for result in RESULTS.values()}
Entry = TypeVar("Entry")


def id_name(name: str) -> str:
    """A name with the slug replaced by the id: "trajectory-wise(tube)" is "R22(tube)"; other names stay."""
    slug, bracket, rest = name.partition("(")
    return _IDS.get(slug, slug) + bracket + rest


class Table(dict[str, Entry]):
    """A dictionary by names such as "R4" or "R22(tube)" that also answers to those with a slug in place of the id."""

    def __missing__(self, name: str) -> Entry:
        if isinstance(name, str) and dict.__contains__(self, id_name(name)):
            return self[id_name(name)]
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return dict.__contains__(self, name) or (isinstance(name, str) and dict.__contains__(self, id_name(name)))

    def get(self, name: str, default: Any = None) -> Any:
        """The entry of a name, or the default."""
        try:
            return self[name]
        except KeyError:
            return default


def find(name: str) -> Result:
    """The result of an id such as "R4" or a slug such as "step-size".

    Raises:
        ProblemError: no such result.
    """
    if not isinstance(name, str) or id_name(name) not in RESULTS:
        known = ", ".join(f"{r.id} ({r.slug})" for r in RESULTS.values())
        raise ProblemError(f"there is no result {name!r}; known are {known}")
    return RESULTS[id_name(name)]


def cite(result: str) -> Citation:
    """The citation of a result, by its id such as "R4" or its slug such as "step-size".

    Raises:
        ProblemError: no such result.
    """
    return find(result).citation


def cited(record: Any) -> Citation | None:
    """Where the result that a record states comes from."""
    return None if record.result is None else cite(record.result)


def statements() -> dict[str, Statement]:
    """All statements by result id; the dictionary answers to slugs too."""
    return Table({r.id: r.statement for r in RESULTS.values()})


def statement(result: str) -> Statement:
    """The statement of a result such as "R9" or "curvature-linear", or one of its claims such as "R9(a)".

    Raises:
        ProblemError: no such statement or claim.
    """
    found, bracket, rest = id_name(result).partition("(")
    if found not in RESULTS:
        raise ProblemError(f"there is no statement {result!r}; known are {', '.join(RESULTS)}")
    whole = RESULTS[found].statement
    if not bracket:
        return whole
    labels = {claim.label for claim in whole.claims}
    return whole.only(rest.removesuffix(")") if rest.removesuffix(")") in labels else bracket + rest)
