"""`python -m symflow` is the command `symflow`."""

import sys

from symflow.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
