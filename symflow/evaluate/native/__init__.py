"""Power-series recurrences executed by a compiled kernel: the same integers as `fixed_point`, many times as fast."""
