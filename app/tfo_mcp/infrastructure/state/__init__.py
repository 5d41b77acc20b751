"""State between requests, in the memory of this process: the embedded default.

`sessions` stores sessions and passes frames between servers of one process, `streams` keeps the latest frames of
resumable streams, `events` delivers domain events, `rates` has the counters of rate limits. Several servers in one
process may share these objects, and then behave as replicas.
"""
