"""Settings that all tests share."""

import os
from pathlib import Path

from hypothesis import settings

# No deadline: compilation makes the first example slow. No database: a run depends on the checkout alone.
settings.register_profile("local", deadline=None, database=None, print_blob=True)
settings.register_profile("ci", settings.get_profile("local"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

# What JAX compiled in one process serves the others, and the next run: read when JAX is imported.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".pytest_cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
