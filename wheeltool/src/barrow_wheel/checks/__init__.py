"""Checks: pure functions from a Wheel to findings. None prints, reads a file or knows another check."""
