"""The load campaign: many clients, clients that do not read, and clients that vanish, and what they cost the server.

`python -m bench.load` runs it all (see `__main__`). Like the benchmarks it drives the built server by its command line.
"""
