"""A small comparison to report on, and colours as the WCAG measures them."""

from __future__ import annotations

import re
from functools import cache

import symflow as sf


@cache
def comparison() -> sf.Deviation:
    """A leaky network whose flow meets a kink; few digits, few steps."""
    network = sf.FullyConnected((1, 2, 1), alpha_bar="1/5")
    return sf.deviation(
        sf.Problem(network=network, data={"x": [1, -1], "y": [-1, 1]}, init={"theta": ["1/2", "-1/3", 1, 1]}),
        step_size="1/10",
        horizon=3,
        dps=15,
    )


def variables(css: str) -> list[dict[str, str]]:
    """The colours of the light and of the dark theme."""
    return [dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{([^}]*)\}", css)]


def contrast(first: str, second: str) -> float:
    """The contrast ratio of two colours."""
    bright, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
