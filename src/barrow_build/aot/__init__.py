"""Turns the catalogue into what the wheel carries: cubins in one pack, their manifest, the launcher's table of kernels."""
