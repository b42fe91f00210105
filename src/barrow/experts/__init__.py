"""Mixtures of experts on block-scaled FP8 weights."""

from barrow.experts.layer import PROJECTIONS, Fp8Experts

__all__ = ["PROJECTIONS", "Fp8Experts"]
