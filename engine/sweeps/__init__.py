"""Sweeps: grids of runs, carried out by one process or many, on one machine or several, and resumed by looking.

`grid` says which cells there are, `index` keeps them in the sweep's folder, `conducting` hands them to workers
(`crews`), `working` is what a worker does with one, `rows` is what became of all of them.
"""
