"""What is known about CPython, torch, CUDA and Linux distributions, as data."""
