"""Mixtures of experts on block-scaled FP8 weights."""

from barrow.experts.layer import PROJECTIONS, ExpertsExplanation, Fp8Experts

__all__ = ["PROJECTIONS", "ExpertsExplanation", "Fp8Experts"]
