"""Times the kernels of the catalogue over shapes on the GPU at hand; what `barrow tune` runs."""
