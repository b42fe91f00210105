"""The catalogue: which kernels exist, what each is called, and every rule a spec must obey."""

from barrow_build.config.catalogue import ARCHS, AuxSpec, catalogue
from barrow_build.config.gemm import CostModel, GemmSpec, SpecError

__all__ = ["ARCHS", "AuxSpec", "CostModel", "GemmSpec", "SpecError", "catalogue"]
