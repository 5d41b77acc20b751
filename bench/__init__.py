"""The benchmarks: the product and its peers, measured in turn on one pinned core.

`python -m bench` runs them all (see `__main__`). This package is no part of the product: it drives the built server by
its command line only, and imports nothing of it.
"""
