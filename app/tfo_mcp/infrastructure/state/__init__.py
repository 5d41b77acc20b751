"""State between requests in this process's memory: the embedded default.

`sessions` keeps session documents and carries frames between servers of one process, `streams` the latest frames of
resumable streams, `events` the queues of domain events, `rates` the counters of rate limits. Two servers in one process
may share these objects and then behave as replicas do.
"""
