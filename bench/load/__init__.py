"""The load campaigns: the cost of many clients, of clients that do not read, and of clients that disappear.

`python -m bench.load` runs them all (see `__main__`). Like the benchmarks, they use the built server through its
command line.
"""
