"""`python -m fairgen` is the `fairgen` command."""

import sys

from fairgen.cli import main

sys.exit(main())
