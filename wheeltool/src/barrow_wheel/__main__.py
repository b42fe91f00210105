"""`python -m barrow_wheel`."""

import sys

from barrow_wheel.cli.main import main

sys.exit(main())
