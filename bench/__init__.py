"""The benchmarks: the product and its peers, measured in turn on one pinned core.

`python -m bench` runs them all (see `__main__`). This package is not part of the product: it uses the built server only
through its command line. Only the plugins in `plugins/` import the product, and the server loads these.
"""
