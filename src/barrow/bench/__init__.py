"""Times the FP8 GEMM against its peers on the GPU at hand; what `barrow bench` runs."""
