"""Gradient flow in float64 through diffrax, for what does not need many digits: one trajectory, or a batch of starts.

Explicit Runge-Kutta methods with step-size control; nothing is done at kinks. Where a gate changes within a step, the
error control rejects and shrinks the step until the jump of the gradient fits into the tolerance. A crossing so costs
15 to 60 rejected steps and leaves an error of the order of the tolerance. Sliding is stepped through as a zigzag of
steps of about tolerance / jump: their number grows as 1 / tolerance, so that only loose tolerances get through it.
Measured on the reference problems (largest error on [0, T], atol = rtol / 100, Dopri8): five ReLU crossings leave 3e-9
at rtol = 1e-8 and 5e-10 at 1e-10, where the smooth linear flow has 4e-11 and 1e-12; sliding for half of [0, 8] takes
3e3 accepted steps at rtol = 1e-5 (error 3e-5) and 3e4 at 1e-6 (error 2e-6). On 40 random networks of 2 or 3 layers
the median error is 0.007 rtol where no gate changes (largest 1), 4 rtol with crossings (largest 200 at step ends, 1700
between them) and 3 rtol with sliding (largest 60); of eight that slide, four do not arrive within 30 000 steps at 1e-4.
`solve_flow` locates kinks and holds sliding gates.

Error control sees the field at the stages of a step alone; `ranges.py` cuts steps that would jump over what an
exponential, a sigmoid, a share, a logarithm, a negative or fractional power, a sine or a cosine does between them.
A unit that becomes active and inactive again within one step goes unnoticed.
"""

from symflow.paths.float64.record import Float64Stats, RungeKuttaSteps
from symflow.paths.float64.solve import solve_flow_float64
from symflow.paths.float64.sweep import sweep_flow_float64

__all__ = ["Float64Stats", "RungeKuttaSteps", "solve_flow_float64", "sweep_flow_float64"]
