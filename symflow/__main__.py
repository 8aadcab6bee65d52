"""`python -m symflow` is the command `symflow`."""

import sys

from symflow.presentation.cli import main

if __name__ == "__main__":
    sys.exit(main())
