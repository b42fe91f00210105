"""Makes barrow_build importable, after everything installed: `barrow` is the wheel's and never the source tree's."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "src"))
