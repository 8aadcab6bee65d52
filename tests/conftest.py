"""Settings that all tests share."""

import os

from hypothesis import settings

# No deadline: compilation makes the first example slow. No database: a run depends on the checkout alone.
settings.register_profile("local", deadline=None, database=None, print_blob=True)
settings.register_profile("ci", settings.get_profile("local"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")
