"""The search: random points, ascent from the best and from others, confirmation of what violates the claim."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Hashable, Sequence
from math import prod

import numpy as np

from symflow.analysis.falsify.ascent import ascend
from symflow.analysis.falsify.backward_starts import rewound
from symflow.analysis.falsify.claim import Claim, Relation, read_claim
from symflow.analysis.falsify.confirm import DIGITS, DPS, Check, check
from symflow.analysis.falsify.draws import BATCH, Points, draw, joined, step_range
from symflow.analysis.falsify.enclose import sizes
from symflow.analysis.falsify.exact import ExactPoint, Ranges, as_points, roundings
from symflow.analysis.falsify.family import Family, Setup
from symflow.analysis.falsify.points import missing
from symflow.analysis.falsify.search import Evaluator, evaluator
from symflow.analysis.falsify.shorten import Judge, shortened
from symflow.analysis.falsify.verdict import NotRefuted, Refuted, Searched, Verdict
from symflow.dynamics.methods import GradientDescent
from symflow.errors import ComputationError, ProblemError, brief
from symflow.evaluate.jax_runtime import start_with_spare_threads
from symflow.networks.objective import Objective
from symflow.networks.training_loss import network_objective
from symflow.numbers.arguments import whole
from symflow.numbers.rational import rational
from symflow.programs.program import shape_of
from symflow.progress import Reporter, Wanted, reporting

BATCHES = 4
"""Random batches before each ascent."""
TUBE_BATCHES, TUBE_MARGIN = 16, 0.1
"""The same where the tube enters, and the least margin worth a confirmation: certified suprema lie above those seen."""
BEST = 16
"""Ascents from the best of them; the others start from new points, so that not all end at one maximum."""
ROUNDS = 3
"""Ascents of a batch for each setup."""
CANDIDATES = 3
"""Most points that are confirmed after each search."""
PATIENCE = 48
"""How many setups in a row without the quantities of the claim end the search."""
KEPT = 12
"""Setups whose compiled claim is kept."""
MOST_CONFIRM = 20.0
"""Most seconds for one solution of the flow at full precision."""


def falsify(
    claim: Relation | Claim,
    family: Family | None = None,
    *,
    given: Relation | Sequence[Relation] = (),
    seconds: float = 60,
    seed: int = 0,
    dps: int = DPS,
    progress: Wanted = None,
) -> Verdict:
    """max (small - large) > 0 over a family of problems: searches for one at which a claim small <= large fails.

    Problems are drawn at random; from the best of them, and from others, the violation is increased by gradient ascent
    (float64, JAX). Points that violate the claim are rounded to few digits and evaluated in exact rationals and with
    `dps` digits; every number of a counterexample is then made as short as the violation allows. Refuted means that the
    violation there is above its error and that every condition holds; nothing is ever proved. A strict inequality is
    treated as its closure: equality refutes nothing.

    Args:
        claim: a SymPy inequality over the symbols of `claim_quantities`.
        family: where to search; small fully connected linear networks with the square loss if left out.
        given: one or several conditions, inequalities over the same symbols: the claim is to hold wherever they do.
        seconds: how long to search; a compilation or confirmation that has begun is finished, and a counterexample is
            shortened for at most 10 seconds more.
        seed: of the draws; how far the search gets depends on the time.
        dps: decimal digits of the confirmation, at least 30.
        progress: True for a bar, or a function of a `Progress`, the fraction of the time that has passed from 0 to 1.

    Returns:
        `Refuted` with the counterexample, or `NotRefuted` with what was searched; Ctrl-C gives the latter.

    Raises:
        ProblemError: an invalid claim, family, time or seed; or no problem of the family has the quantities of the
            claim.

    Example:
        >>> q = {name: quantity.symbol for name, quantity in sf.claim_quantities().items()}
        >>> claim = q["lambda_min"] >= -(q["n"] - 2) * q["grad_phi_F"] * q["max_product"]  # R9(a) with n - 2 for n - 1
        >>> verdict = sf.falsify(claim, sf.Family(depths=(2,), widths=(1, 1), samples=(1, 1)), seconds=20)
        >>> verdict.status, verdict.violation > 0
        ('refuted', True)
    """
    read = read_claim(claim, given)
    if family is None:
        family = Family()
    if not isinstance(family, Family):
        raise ProblemError(f"family must be a sf.Family, got {brief(family)}; write sf.Family(depths=(2, 3))")
    if read.needs.tube and family.method != GradientDescent():
        raise ProblemError(
            f"claims about the tube of R4 are about gradient descent, got a family with {family.method.called}; leave "
            "its method out"
        )
    limit = float(rational(seconds, "seconds"))
    if not 0 < limit <= 1e7:
        raise ProblemError(f"seconds must be a positive number up to 1e7, got {brief(seconds)}")
    seed = whole(seed, "seed", 0)
    dps = whole(dps, "dps", *DIGITS)
    if read.needs.moving:
        step_range(family, read.needs)  # whether the family has problems for this claim
    start_with_spare_threads()
    interrupted, found = False, None
    with reporting(progress, "falsify", None) as report:  # how long it takes was asked for
        search = _Search(read, family, limit, seed, dps, report.part(0, 1, unit="setup"))
        try:
            found = search.run()
        except KeyboardInterrupt:
            interrupted = True
    searched = search.record(interrupted)
    return NotRefuted(read, searched) if found is None else Refuted(read, found, searched)


class _Search:
    """A search and its counts."""

    def __init__(
        self,
        claim: Claim,
        family: Family,
        seconds: float,
        seed: int,
        dps: int,
        report: Reporter,
    ) -> None:
        self.claim, self.family, self.seed, self.dps = claim, family, seed, dps
        self.seconds, self.started, self.report = seconds, time.perf_counter(), report
        self.rng = np.random.default_rng(seed)
        self.kept: dict[tuple[Hashable, ...], Evaluator] = {}
        self.slowest = 0.0
        self.setups: set[Setup] = set()
        self.points = self.ascents = self.confirmations = 0
        self.best, self.best_setup = -np.inf, ""
        self.skipped: Counter[str] = Counter()

    def left(self) -> float:
        """Seconds that remain."""
        return self.seconds - (time.perf_counter() - self.started)

    def on(self) -> bool:
        """Whether there is time; reports how much has passed."""
        left = self.left()
        done, said = 1 - left / self.seconds if self.seconds else 1.0, f"{self.points} points"
        self.report(min(1.0, max(0.0, done)), len(self.setups), said, lambda: NotRefuted(self.claim, self.record(True)))
        return left > 0

    def record(self, interrupted: bool) -> Searched:
        """What was searched so far."""
        return Searched(
            setups=len(self.setups),
            points=self.points,
            ascents=self.ascents,
            confirmations=self.confirmations,
            best_margin=float(self.best),
            best_setup=self.best_setup,
            skipped=dict(self.skipped),
            seconds=time.perf_counter() - self.started,
            seed=self.seed,
            interrupted=interrupted,
        )

    def run(self) -> Check | None:
        """A counterexample, or None when the time is over."""
        names = {name for found in self.claim.needs.points.values() for name in found}
        barren = 0
        for setup in self.family.setups(self.rng):
            if not self.on():
                return None
            objective = _objective(setup)
            reason = missing(objective, names)
            if reason is not None:
                self.skipped[reason] += 1
                barren += 1
                if barren >= PATIENCE and not self.setups:
                    raise ProblemError(f"no problem of the family has the quantities of the claim; {reason}")
                continue
            found = self._visit(setup, objective)
            if found is not None:
                return found
        return None

    def _visit(self, setup: Setup, objective: Objective) -> Check | None:
        """Searches one setup."""
        key = (setup.network, setup.loss, setup.samples)
        if key not in self.kept:
            if self.setups and self.left() < self.slowest:
                self.seconds = 0.0  # no time to compile another one
                return None
            if len(self.kept) >= KEPT:
                del self.kept[next(iter(self.kept))]
            sized = self.claim.at(sizes(objective, setup.samples))
            self.kept[key] = evaluator(sized, objective, self.family.steps, self.family.method)
        run = self.kept[key]
        self.setups.add(setup)
        for _ in range(ROUNDS):
            found = self._round(setup, objective, run)
            if found is not None or not self.on():
                return found
        return None

    def _round(self, setup: Setup, objective: Objective, run: Evaluator) -> Check | None:
        """Random points, those that violate the claim confirmed, then ascent."""
        drawn, margins, tied = [], [], []
        tube = bool(self.claim.needs.tube)
        for _ in range(TUBE_BATCHES if tube else BATCHES):
            points, before = self._draw(setup, objective), time.perf_counter()
            margin, ties, _ = run(points)
            self.slowest = max(self.slowest, time.perf_counter() - before)
            self.points += BATCH
            drawn.append(points)
            margins.append(margin)
            tied.append(ties)
            if not self.on():
                break
        points, margin, ties = joined(drawn), np.concatenate(margins), np.concatenate(tied)
        found = self._confirm(setup, run, points, margin, ties)
        if found is not None or not self.on():
            return found
        best = points.take(np.argsort(-margin, kind="stable")[:BEST])
        fresh = self._draw(setup, objective).take(np.arange(BATCH - BEST))
        after = ascend(run, self.family, setup, joined([best, fresh]), moving=self.claim.needs.moving, on=self.on)
        self.ascents += BATCH
        return self._confirm(setup, run, after.points, after.margins, after.ties)

    def _draw(self, setup: Setup, objective: Objective) -> Points:
        """A random batch; where the tube enters, three of four come from close to a saddle."""
        points = draw(self.family, setup, self.rng, self.claim.needs)
        if not self.claim.needs.tube or setup.balanced or self.rng.random() < 0.25:
            return points
        return rewound(objective, self.family, points, self.rng)

    def _confirm(
        self, setup: Setup, run: Evaluator, points: Points, margins: np.ndarray, ties: np.ndarray
    ) -> Check | None:
        """The first of the best points at which the claim fails, exactly."""
        order = np.argsort(-margins, kind="stable")
        if margins[order[0]] > self.best:
            self.best, self.best_setup = float(margins[order[0]]), str(setup)
        least = TUBE_MARGIN if self.claim.needs.tube else 0.0
        rows = [int(i) for i in order if margins[i] > least][:CANDIDATES]
        rows += [int(i) for i in order if ties[i] and margins[i] <= 0][: 1 if not rows else 0]
        for row in rows:
            ranges = Ranges.of(self.family, setup, int(points.steps[row]), moving=self.claim.needs.moving)
            candidates = roundings(points, row, ranges)
            for exact in self._candidates(run, candidates, setup.balanced):
                found = self._check(setup, exact)
                if found is not None:
                    others = [] if self.claim.needs.tube else candidates  # whose confirmations would take long
                    return shortened(exact, found, others, ranges, self._judge(setup, run, exact))
                if self.left() <= 0:
                    return None
        return None

    def _candidates(self, run: Evaluator, exact: list[ExactPoint], kept: bool) -> list[ExactPoint]:
        """Roundings that violate the claim in float64, or tie: the shortest with half the violation, the longest."""
        if not exact:
            return []
        margins, ties, _ = run(as_points(exact, kept))
        enough = margins.max() / 2
        seen = [p for p, m, tie in zip(exact, margins, ties, strict=True) if (m > 0 and m >= enough) or tie]
        return list(dict.fromkeys([*seen[:1], *seen[-1:]]))

    def _judge(self, setup: Setup, run: Evaluator, point: ExactPoint) -> Judge:
        """What tells whether points near a counterexample are others."""
        # Suprema over the tube are confirmed slowly, and certified somewhat above what float64 sees: the margin there
        # must not become smaller.
        least = run(as_points([point], setup.balanced))[0][0] if self.claim.needs.tube else 0.0

        def seen(exact: Sequence[ExactPoint]) -> list[ExactPoint]:
            if not exact:
                return []
            margins, ties, _ = run(as_points(exact, setup.balanced))
            return [p for p, m, tie in zip(exact, margins, ties, strict=True) if m > least or tie]

        return Judge(seen, lambda exact: self._check(setup, exact))

    def _check(self, setup: Setup, exact: ExactPoint) -> Check | None:
        """The claim at an exact point; None where it is not refuted."""
        self.confirmations += 1
        try:
            problem = exact.problem(setup, self.claim, self.dps)
            found = check(self.claim, problem, exact.steps, self.dps, min(MOST_CONFIRM, max(2.0, self.left())))
        except ComputationError:  # a kink, a flow that stops: nothing is said there
            return None
        return found if found.refuted else None


def _objective(setup: Setup) -> Objective:
    """A training loss of a setup's shape; its data are never looked at."""
    inputs, outputs = (prod(shape_of(a)) for a in (setup.network.input_axes, setup.network.output_axes))
    x = np.zeros((setup.samples, inputs), dtype=int)
    y = np.zeros((setup.samples, outputs), dtype=int)
    y[:, 0] = 1  # what every loss admits
    return network_objective(setup.network, x, y, setup.loss)
