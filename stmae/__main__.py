"""`python -m stmae` is `stmae`."""

import sys

from stmae.cli import main

sys.exit(main())
