"""barrow-wheel: prove what a wheel claims, and build what it needs.

The commands are thin layers over these modules: `check` (findings about a wheel), `pythons` (interpreters that a
project must serve), `build_ext` (one extension for many CPythons), `merge` (per-Python wheels into one), `doctor`
(what to set before a build).
"""

__version__ = "0.1.0"
