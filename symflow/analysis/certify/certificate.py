"""The record that `certify` gives: a statement, whether it holds, and its certificate."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from symflow.analysis.certify.decide import Decision
from symflow.analysis.certify.request import Request
from symflow.certificate.numbers import Table
from symflow.certificate.write import CHECKER, checker_source, to_bytes
from symflow.displays import listing, show
from symflow.errors import ComputationError, ProblemError
from symflow.files import write_files
from symflow.numbers.decimal import short
from symflow.numbers.rational import text


@dataclass(frozen=True)
class Certificate:
    """A statement on a run, with its proof by computation.

    Attributes:
        request: what was asked.
        holds: True (proved), False (the contrary of a claim is proved), or None (not decided).
        decisions: the claims one by one, each with its own `holds` and `reason`.
        reason: why it is not decided, and what would decide it; empty where it is.
        statement: what is proved, in words; what was asked where nothing is.
        checkable: whether `save` writes a certificate that the stand-alone checker proves.
        not_checkable_because: why not; empty where it is.
        document: the certificate as a JSON object; None where nothing is proved.
        verified: what the checker proved, line by line.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]},
        ...                      init={"theta": ["1/2", 1]})
        >>> cert = sf.certify(problem, step_size="1/10", steps=10, distance="1/1000")
        >>> cert.holds, cert.statement
        (False, '||theta_k - theta(k eta)|| > 1/1000 at k = 7')
        >>> cert.checkable, [decision.kind for decision in cert.decisions]
        (True, ['distance'])
    """

    request: Request = field(repr=False)
    holds: bool | None
    decisions: tuple[Decision, ...]
    reason: str
    statement: str
    checkable: bool
    not_checkable_because: str
    document: Table | None = field(repr=False, default=None)
    verified: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        listing(self, "decisions")

    def latex(self, file: str = "theorem.json") -> str:
        """The statement as a theorem with its hypotheses and "Proof: by computation", for a document with amsthm.

        Args:
            file: the name of the certificate that the proof refers to.

        Raises:
            ComputationError: nothing is proved, or there is no certificate.
        """
        if self.holds is None:
            raise ComputationError(f"there is no theorem: {self.reason}")
        if self.document is None:
            raise ComputationError(f"there is no certificate for a proof to refer to: {self.not_checkable_because}")
        return str(show(self, "latex", file))

    def _repr_markdown_(self) -> str:
        return str(show(self, "markdown"))

    def save(self, path: str | os.PathLike[str], checker: bool = True) -> list[Path]:
        """Writes the certificate.

        Args:
            path: of the file, such as "theorem.json".
            checker: also put `certificate_check.py` next to it: `python certificate_check.py theorem.json` then proves
                the statement with python-flint, without symflow.

        Returns:
            The files.

        Raises:
            ComputationError: there is no certificate, with the reason.
            OSError: it cannot be written.
        """
        if self.document is None:
            raise ComputationError(f"there is no certificate to save: {self.not_checkable_because or self.reason}")
        target = Path(path)
        if target.name in ("", CHECKER):
            raise ProblemError(f"path must be that of a file such as theorem.json, got {str(target)!r}")
        contents = {target.name: to_bytes(self.document)}
        return write_files(target.parent, contents | ({CHECKER: checker_source()} if checker else {}))

    def __repr__(self) -> str:
        verdict = {True: "proved", False: "refuted", None: "not decided"}[self.holds]
        why = f"; {self.reason}" if self.holds is None else ""
        return f"<Certificate {verdict}: {self.statement}{why}>"


def asked(request: Request) -> list[str]:
    """The claims that were asked for, in words."""
    r, found = request, []
    if r.distance is not None:
        found.append(f"||theta_k - theta(k eta)|| <= {text(r.distance)} for all k <= {r.steps}")
    if r.loss is not None and r.steps:
        later = ", and f(theta_j) for all j >= k" if r.stays_below else ""
        found.append(f"f(theta_k){later} <= {text(r.loss)} for a k <= {r.steps}")
    if r.loss is not None and r.flow_time is not None:
        found.append(f"f(theta(t)) <= {text(r.loss)} for all t >= {text(r.flow_time)}")
    if r.radius is not None:
        found.append(f"theta(t) converges to a point within {text(r.radius)} of the one given")
    return found


def proved_words(decisions: Sequence[Decision]) -> str:
    """What is proved, in words: of a refuted statement what refutes it."""
    return "; ".join(_sentence(d) for d in decisions)


def _sentence(decision: Decision) -> str:
    table = decision.table
    assert table is not None
    bound, last, holds = table["bound"], table["last"], decision.holds
    if table["kind"] == "distance":
        return f"||theta_k - theta(k eta)|| {f'<= {bound} for all k <=' if holds else f'> {bound} at k ='} {last}"
    if table["kind"] == "descent-loss":
        return f"f(theta_k) {'<=' if holds else '>'} {bound} for {'a' if holds else 'all'} k <= {last}"
    if table["kind"] == "descent-stays":
        return f"for a k <= {last}, f(theta_j) <= {bound} for all j >= k, and theta_j converges"
    if table["kind"] == "flow-loss":
        return f"f(theta(t)) {'<=' if holds else '>'} {bound} for all t {'>=' if holds else '<='} {last}"
    where = f"within {bound} of" if holds else f"further than {bound} from"
    return f"theta(t) converges to a point {where} the one given"


def short_bound(decision: Decision) -> str:
    """The number that decides a claim, rounded, or an empty string."""
    return "" if decision.bound is None else short(decision.bound)
