"""Sweeps over step size, seed, depth, width and initialization scale.

    sf.sweep(base, step_size=["1/100", "1/200"], seed=range(20), folder="out")     many digits, one file a task
    sf.sweep_float64(base, step_size=["1/100", "1/200"], seed=range(20))           float64, under vmap

`axes` makes the problems, `measure` says what is found out about one, `task` computes it once and keeps it in a file
named by what it is, `execute` hands tasks to an executor (`workers` is what the local one's processes begin with), and
`table` lays the rows out. Nothing is imported here: worker processes must be able to set themselves up first.
"""
