"""Bounds as objects: hypotheses, formula, result id, and their evaluation along flow and descent."""

from __future__ import annotations

from symflow.analysis.bounds.sampled import BoundSeries, Samples, curvature_bounds, leading_order, not_applicable

__all__ = ["BoundSeries", "Samples", "curvature_bounds", "leading_order", "not_applicable"]
