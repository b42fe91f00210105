"""`python -m barrow`: the command `barrow`."""

import sys

from barrow.cli.main import main

sys.exit(main())
