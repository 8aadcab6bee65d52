"""symflow: how well does gradient flow describe gradient descent?  Formulas, bounds and high-precision ground truth."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Name -> module that defines it.  Imported on first use, so that `import symflow` and commands that need no JAX stay
# fast.
_EXPORTS = {
    "Problem": "symflow.problem",
    "load_problem": "symflow.problem",
    "FullyConnected": "symflow.symbolic.network",
    "Objective": "symflow.symbolic.objective",
    "expression_objective": "symflow.symbolic.objective",
    "Convolutional": "symflow.symbolic.convolutional",
    "Convolution": "symflow.symbolic.convolutional",
    "Pool": "symflow.symbolic.convolutional",
    "Dense": "symflow.symbolic.convolutional",
    "Loss": "symflow.symbolic.losses",
    "expression_loss": "symflow.symbolic.losses",
    "network_objective": "symflow.symbolic.training",
    "moment_form": "symflow.symbolic.moments",
    "loss": "symflow.symbolic.derived",
    "gradient": "symflow.symbolic.derived",
    "gradient_flow": "symflow.symbolic.derived",
    "hessian": "symflow.symbolic.derived",
    "hessian_form": "symflow.symbolic.derived",
    "hessian_vector_product": "symflow.symbolic.derived",
    "directional_derivative": "symflow.symbolic.derived",
    "modified_equation": "symflow.symbolic.modified",
    "cite": "symflow.symbolic.citations",
    "Statement": "symflow.symbolic.statements",
    "statement": "symflow.symbolic.statements",
    "statements": "symflow.symbolic.statements",
    "CurvatureBound": "symflow.symbolic.curvature",
    "ball_bounds": "symflow.symbolic.curvature",
    "curvature_bounds": "symflow.symbolic.curvature",
    "applicable": "symflow.symbolic.applicable",
    "evaluate_exact": "symflow.compile.objects",
    "evaluate_mpmath": "symflow.compile.objects",
    "to_jax": "symflow.compile.jax",
    "solve_flow": "symflow.trajectory.flow",
    "solve_field": "symflow.trajectory.flow",
    "solve_flow_float64": "symflow.trajectory.float64",
    "sweep_flow_float64": "symflow.trajectory.float64",
    "Trajectory": "symflow.trajectory.trajectory",
    "load_trajectory": "symflow.trajectory.storage",
    "Stop": "symflow.trajectory.stops",
    "stop_at_loss": "symflow.trajectory.stops",
    "stop_at_gradient_norm": "symflow.trajectory.stops",
    "stop_when": "symflow.trajectory.stops",
    "linear_times": "symflow.trajectory.times",
    "log_times": "symflow.trajectory.times",
    "check_flow": "symflow.analysis.checks",
    "extreme_eigenvalues": "symflow.analysis.eigenvalues",
    "balanced_start": "symflow.analysis.convergence.start",
    "minimum_loss": "symflow.analysis.convergence.start",
    "convergence_time": "symflow.analysis.convergence.time",
    "convergence_probability": "symflow.analysis.convergence.probability",
    "convergence_quantile": "symflow.analysis.convergence.probability",
    "descent_guarantee": "symflow.analysis.convergence.guarantee",
    "descend": "symflow.trajectory.descent",
    "deviation": "symflow.analysis.deviation",
    "Bound": "symflow.analysis.bounds",
    "bound_quantities": "symflow.analysis.bounds",
    "known_bounds": "symflow.analysis.bounds",
    "user_bound": "symflow.analysis.bounds",
    "max_step_size": "symflow.analysis.advice",
    "tightness": "symflow.analysis.tightness",
    "experiment": "symflow.analysis.experiment",
    "load_experiment": "symflow.analysis.experiment",
    "Sweep": "symflow.analysis.sweeps.sweep",
    "sweep": "symflow.analysis.sweeps.sweep",
    "sweep_float64": "symflow.analysis.sweeps.float64",
    "falsify": "symflow.analysis.falsify",
    "Family": "symflow.analysis.falsify",
    "claim_quantities": "symflow.analysis.falsify",
    "check_counterexample": "symflow.analysis.falsify",
    "Refuted": "symflow.analysis.falsify",
    "NotRefuted": "symflow.analysis.falsify",
    "SymflowError": "symflow.errors",
    "ProblemError": "symflow.errors",
    "ComputationError": "symflow.errors",
    "BudgetError": "symflow.errors",
    "DescentDiverged": "symflow.errors",
    "FlowStopped": "symflow.errors",
    "FlowInterrupted": "symflow.errors",
    "KinkError": "symflow.errors",
}

if TYPE_CHECKING:
    from symflow.analysis.advice import max_step_size as max_step_size
    from symflow.analysis.bounds import Bound as Bound
    from symflow.analysis.bounds import bound_quantities as bound_quantities
    from symflow.analysis.bounds import known_bounds as known_bounds
    from symflow.analysis.bounds import user_bound as user_bound
    from symflow.analysis.checks import check_flow as check_flow
    from symflow.analysis.convergence.guarantee import descent_guarantee as descent_guarantee
    from symflow.analysis.convergence.probability import convergence_probability as convergence_probability
    from symflow.analysis.convergence.probability import convergence_quantile as convergence_quantile
    from symflow.analysis.convergence.start import balanced_start as balanced_start
    from symflow.analysis.convergence.start import minimum_loss as minimum_loss
    from symflow.analysis.convergence.time import convergence_time as convergence_time
    from symflow.analysis.deviation import deviation as deviation
    from symflow.analysis.eigenvalues import extreme_eigenvalues as extreme_eigenvalues
    from symflow.analysis.experiment import experiment as experiment
    from symflow.analysis.experiment import load_experiment as load_experiment
    from symflow.analysis.falsify import Family as Family
    from symflow.analysis.falsify import NotRefuted as NotRefuted
    from symflow.analysis.falsify import Refuted as Refuted
    from symflow.analysis.falsify import check_counterexample as check_counterexample
    from symflow.analysis.falsify import claim_quantities as claim_quantities
    from symflow.analysis.falsify import falsify as falsify
    from symflow.analysis.sweeps.float64 import sweep_float64 as sweep_float64
    from symflow.analysis.sweeps.sweep import Sweep as Sweep
    from symflow.analysis.sweeps.sweep import sweep as sweep
    from symflow.analysis.tightness import tightness as tightness
    from symflow.compile.jax import to_jax as to_jax
    from symflow.compile.objects import evaluate_exact as evaluate_exact
    from symflow.compile.objects import evaluate_mpmath as evaluate_mpmath
    from symflow.errors import BudgetError as BudgetError
    from symflow.errors import ComputationError as ComputationError
    from symflow.errors import DescentDiverged as DescentDiverged
    from symflow.errors import FlowInterrupted as FlowInterrupted
    from symflow.errors import FlowStopped as FlowStopped
    from symflow.errors import KinkError as KinkError
    from symflow.errors import ProblemError as ProblemError
    from symflow.errors import SymflowError as SymflowError
    from symflow.problem import Problem as Problem
    from symflow.problem import load_problem as load_problem
    from symflow.symbolic.applicable import applicable as applicable
    from symflow.symbolic.citations import cite as cite
    from symflow.symbolic.convolutional import Convolution as Convolution
    from symflow.symbolic.convolutional import Convolutional as Convolutional
    from symflow.symbolic.convolutional import Dense as Dense
    from symflow.symbolic.convolutional import Pool as Pool
    from symflow.symbolic.curvature import CurvatureBound as CurvatureBound
    from symflow.symbolic.curvature import ball_bounds as ball_bounds
    from symflow.symbolic.curvature import curvature_bounds as curvature_bounds
    from symflow.symbolic.derived import directional_derivative as directional_derivative
    from symflow.symbolic.derived import gradient as gradient
    from symflow.symbolic.derived import gradient_flow as gradient_flow
    from symflow.symbolic.derived import hessian as hessian
    from symflow.symbolic.derived import hessian_form as hessian_form
    from symflow.symbolic.derived import hessian_vector_product as hessian_vector_product
    from symflow.symbolic.derived import loss as loss
    from symflow.symbolic.losses import Loss as Loss
    from symflow.symbolic.losses import expression_loss as expression_loss
    from symflow.symbolic.modified import modified_equation as modified_equation
    from symflow.symbolic.moments import moment_form as moment_form
    from symflow.symbolic.network import FullyConnected as FullyConnected
    from symflow.symbolic.objective import Objective as Objective
    from symflow.symbolic.objective import expression_objective as expression_objective
    from symflow.symbolic.statements import Statement as Statement
    from symflow.symbolic.statements import statement as statement
    from symflow.symbolic.statements import statements as statements
    from symflow.symbolic.training import network_objective as network_objective
    from symflow.trajectory.descent import descend as descend
    from symflow.trajectory.float64 import solve_flow_float64 as solve_flow_float64
    from symflow.trajectory.float64 import sweep_flow_float64 as sweep_flow_float64
    from symflow.trajectory.flow import solve_field as solve_field
    from symflow.trajectory.flow import solve_flow as solve_flow
    from symflow.trajectory.stops import Stop as Stop
    from symflow.trajectory.stops import stop_at_gradient_norm as stop_at_gradient_norm
    from symflow.trajectory.stops import stop_at_loss as stop_at_loss
    from symflow.trajectory.stops import stop_when as stop_when
    from symflow.trajectory.storage import load_trajectory as load_trajectory
    from symflow.trajectory.times import linear_times as linear_times
    from symflow.trajectory.times import log_times as log_times
    from symflow.trajectory.trajectory import Trajectory as Trajectory


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'symflow' has no attribute {name!r}")
    value = getattr(import_module(_EXPORTS[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*_EXPORTS, "__version__"])
