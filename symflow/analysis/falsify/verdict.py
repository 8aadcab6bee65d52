"""What a search for a counterexample ends with: refuted, or not refuted. Nothing here is ever called proved."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Literal

import mpmath

from symflow.analysis.falsify.claim import Claim
from symflow.analysis.falsify.confirm import Check
from symflow.errors import ProblemError, brief
from symflow.files import write_atomically
from symflow.numbers.decimal import counted
from symflow.numbers.types import Mpf
from symflow.problem import Problem
from symflow.problem.toml import problem_toml


@dataclass(frozen=True)
class Searched:
    """What a search for a counterexample has covered.

    Attributes:
        setups: how many shapes (network, loss, number of samples) were tried.
        points: how many problems were evaluated in float64.
        ascents: from how many of them the violation was increased by gradient ascent.
        confirmations: how many points were evaluated at `dps` digits.
        best_margin: the largest (small - large - noise)/(|small| + |large|) seen in float64; above 0 where float64
            shows a violation, -inf where no point could be evaluated.
        best_setup: the shape where that was.
        skipped: reason -> number of shapes that lack a quantity of the claim.
        seconds: wall time.
        seed: of the draws.
        interrupted: whether Ctrl-C ended it.

    Example:
        >>> claim = sf.claim_quantities()["lambda_min"].symbol >= 0
        >>> family = sf.Family(depths=(2,), widths=(1, 1), samples=(1, 1))
        >>> searched = sf.falsify(claim, family, seconds=20).searched
        >>> searched.setups, searched.points > 0, searched.best_margin > 0
        (1, True, True)
    """

    setups: int
    points: int
    ascents: int
    confirmations: int
    best_margin: float
    best_setup: str
    skipped: Mapping[str, int]
    seconds: float
    seed: int
    interrupted: bool

    def __str__(self) -> str:
        ended = ", interrupted" if self.interrupted else ""
        counts = (
            f"{counted(self.points, 'point')} of {counted(self.setups, 'shape')}, {counted(self.ascents, 'ascent')}, "
            f"{counted(self.confirmations, 'exact point')}"
        )
        best = f"best margin {self.best_margin:.3g} ({self.best_setup or 'none'})"
        return f"{counts}, {best}, {self.seconds:.1f} s, seed {self.seed}{ended}"


@dataclass(frozen=True)
class NotRefuted:
    """No counterexample was found, which proves nothing.

    Attributes:
        claim: what was to be refuted.
        searched: what was searched.

    Example:
        >>> q = {name: quantity.symbol for name, quantity in sf.claim_quantities().items()}
        >>> family = sf.Family(depths=(2,), widths=(1, 1), samples=(1, 1))
        >>> verdict = sf.falsify(q["lambda_min"] >= q["R9(a)"], family, seconds=0.2)
        >>> verdict.status, verdict.searched.points > 0
        ('not refuted', True)
    """

    claim: Claim
    searched: Searched

    @property
    def status(self) -> Literal["not refuted"]:
        """The verdict."""
        return "not refuted"

    def __repr__(self) -> str:
        return f"not refuted: {self.claim}\n  searched {self.searched}"

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle {self.claim.latex()}$ is not refuted: {self.searched}."

    def _repr_html_(self) -> str:
        claim, searched = escape(str(self.claim)), escape(str(self.searched))
        return f"<p><b>not refuted</b> <code>{claim}</code></p><p>searched {searched}</p>"


@dataclass(frozen=True)
class Refuted:
    """small - large > 0 at a problem: the claim small <= large is refuted.

    Attributes:
        claim: what is refuted.
        check: the claim at the counterexample: violation and error (mpf), every quantity.
        searched: what was searched before.

    Example:
        >>> claim = sf.claim_quantities()["lambda_min"].symbol >= 0
        >>> verdict = sf.falsify(claim, sf.Family(depths=(2,), widths=(1, 1), samples=(1, 1)), seconds=20)
        >>> verdict.status, verdict.violation > 0, len(verdict.problem.theta0)
        ('refuted', True, 2)
        >>> sf.check_counterexample(verdict.problem, claim).refuted
        True
    """

    claim: Claim
    check: Check
    searched: Searched

    @property
    def status(self) -> Literal["refuted"]:
        """The verdict."""
        return "refuted"

    @property
    def problem(self) -> Problem:
        """The counterexample."""
        return self.check.problem

    @property
    def violation(self) -> Mpf:
        """small - large, by how much the inequality fails (mpf)."""
        return self.check.violation

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the counterexample as a problem file (.toml or .json), from which `check_counterexample` repeats it.

        Args:
            path: the file, ending in .toml or .json.

        Raises:
            ProblemError: another ending, or a folder that cannot be written.
        """
        target = Path(os.fspath(path))
        if target.suffix not in (".toml", ".json"):
            raise ProblemError(f"a problem file must end in .toml or .json, got {brief(target.name)}")
        content = json.dumps(self.problem.to_dict(), indent=1) if target.suffix == ".json" else self.toml()
        try:
            write_atomically(target, content.encode() + b"\n")
        except OSError as error:
            raise ProblemError(
                f"{brief(str(target))} must be a file that can be written: {error.strerror}; choose another folder"
            ) from None

    def toml(self) -> str:
        """The counterexample as the text of a problem file."""
        return problem_toml(self.problem.to_dict(), f"{self.claim}; it fails by {mpmath.nstr(self.violation, 10)}")

    @property
    def proof(self) -> bool:
        """Whether the refutation is proved: each quantity is exact, or certified by balls; none is estimated."""
        return all(e.how in ("exact", "certified") for e in self.check.values.values())

    def __repr__(self) -> str:
        c = self.check
        lines = [
            f"refuted: {self.claim}",
            f"  by {self.problem!r}",
            f"  violation {mpmath.nstr(c.violation, 15)} (error {mpmath.nstr(c.error, 2)}, {c.dps} digits)",
        ]
        if self.proof:
            lines.append("  a proof: every quantity is exact or certified")
        for name, e in sorted(c.values.items()):
            shown = mpmath.nstr((e.low + e.high) / 2, 15)
            if e.how == "certified on the tube":
                shown = f"between {mpmath.nstr(e.low, 8)} and {mpmath.nstr(e.high, 8)}"
            lines.append(f"  {name} = {shown} ({e.how})")
        return "\n".join([*lines, f"  searched {self.searched}"])

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle {self.claim.latex()}$ is refuted: it fails by ${mpmath.nstr(self.violation, 8)}$."

    def _repr_html_(self) -> str:
        head, *rest = repr(self).split("\n")
        return f"<p><b>{escape(head)}</b></p><pre>{escape(chr(10).join(rest))}</pre>"


Verdict = Refuted | NotRefuted
