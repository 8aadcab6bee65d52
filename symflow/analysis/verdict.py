"""What a comparison of descent with flow comes to: each bound next to the truth, and the answer in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symflow.numbers.decimal import brief_time, figures
from symflow.numbers.types import Mpf

if TYPE_CHECKING:
    from symflow.analysis.deviation import Deviation


def comparison(dev: Deviation, name: str) -> dict[str, Mpf]:
    """A bound next to the truth at the last time where it applies.

    Returns:
        ``time``, ``value``, ``ratio`` (value over deviation; None where the deviation is 0), ``worst`` (the largest
        |ratio - 1| at any sampled time, what the leading order is judged by), ``until_end``; all None or False where
        the bound applies nowhere.
    """
    bound = dev.bounds[name]
    applies = [i for i, v in enumerate(bound.values) if v is not None and i > 0]
    if not applies:
        return {"time": None, "value": None, "ratio": None, "worst": None, "until_end": False}
    last = applies[-1]
    value, truth = bound.values[last], dev.values[last]
    return {
        "time": dev.times[last],
        "value": value,
        "ratio": value / truth if truth else None,
        "worst": max((abs(bound.values[i] / dev.values[i] - 1) for i in applies if dev.values[i]), default=None),
        "until_end": last == len(dev.times) - 1,
    }


def travelled(dev: Deviation) -> Mpf:
    """The distance between the flow's ends, what deviations may be compared with."""
    import mpmath

    with mpmath.workdps(dev.dps + 15):
        start, end = dev.flow(0), dev.flow(dev.times[-1])
        return mpmath.sqrt(mpmath.fsum((b - a) ** 2 for a, b in zip(start, end, strict=True)))


def sharpness(dev: Deviation) -> float | None:
    """The largest eta lambda_max along descent; None where the Hessian was too large."""
    eigenvalues = dev.descent_series.max_eigenvalue
    return None if eigenvalues is None else float(dev.step_size) * float(eigenvalues.max())


def verdict(dev: Deviation) -> str:
    """The answer in one sentence."""
    largest, way = dev.max, travelled(dev)
    share = f" ({figures(100 * largest / way, 2)} % of the way the flow went)" if way else ""
    flow = "flow" if dev.order == 0 else dev.compared_with
    parts = [f"Descent strays from {flow} by at most {figures(largest, 3)}{share}"]
    leading = comparison(dev, "R18") if "R18" in dev.bounds else {"worst": None}
    if leading["worst"] is not None:
        said = f"the leading order R18 predicts it within {figures(100 * leading['worst'], 2)} %"
        parts.append(said + ("" if leading["until_end"] else f" until t = {brief_time(leading['time'])}"))
    ratios = [
        (found["ratio"], name, found)
        for name, bound in dev.bounds.items()
        if bound.kind == "bound" and (found := comparison(dev, name))["ratio"] is not None
    ]
    if ratios:
        ratio, name, found = min(ratios, key=lambda item: item[0])
        said = f"the tightest bound, {name}, is {figures(ratio, 3)} times the truth"
        parts.append(said + (" at the end" if found["until_end"] else f" at t = {brief_time(found['time'])}"))
    else:
        parts.append("no bound applies")
    return "; ".join(parts) + "."
