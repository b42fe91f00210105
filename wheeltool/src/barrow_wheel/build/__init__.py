"""One extension for many CPythons: what to compile (plan), with what (toolchain), and doing it (run)."""
